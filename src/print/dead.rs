//! `windlass dead`: asks the windlass that runs here, the broker, or else the file of the queue.

use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;
use serde_json::json;
use windlass::cli::Dead;
use windlass::cli::DeadLetter;
use windlass::cli::DeadList;
use windlass::clock::now;
use windlass::control;
use windlass::letters;
use windlass::letters::Asked;
use windlass::letters::Done;
use windlass::letters::Letter;
use windlass::moment::Moment;
use windlass::queue::DEAD_LISTED;
use windlass::role::Part;
use windlass::settings::Settings;

use super::WRONG;
use super::complain;
use super::load;
use super::out;
use super::time;

/// Does what is asked about dead letters, and says what came of it.
pub async fn dead(asked: &Dead) -> anyhow::Result<ExitCode> {
    let config = match asked {
        Dead::List(DeadList { config, .. }) => config,
        Dead::Show(letter) | Dead::Replay(letter) | Dead::Drop(letter) => &letter.config,
    };
    let Some(settings) = load(config.as_deref(), &Part::operator())? else {
        return Ok(ExitCode::from(WRONG));
    };
    let done = attend(&settings, &question(asked)).await?;
    match (asked, done) {
        (Dead::List(DeadList { json: true, .. }), Done::Listed(letters)) => {
            letters.iter().try_for_each(|letter| out(&format!("{}\n", as_json(letter))))?;
        }
        (_, Done::Listed(letters)) => list(&letters)?,
        (_, Done::Shown(letter)) => out(&whole(&letter))?,
        (_, Done::Replayed) => out("Replayed: it is at the end of its line.\n")?,
        (_, Done::AskedAgain(event)) => {
            out(&format!("Replayed: event {event} asks for a new job in its place.\n"))?;
        }
        (_, Done::Dropped) => out("Dropped: it is gone for good.\n")?,
        (_, Done::NotFound) => {
            complain(&format!(
                "none of the latest {DEAD_LISTED} dead letters is of that lane and id: see `windlass dead list`"
            ));
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn question(asked: &Dead) -> Asked {
    let named = |DeadLetter { lane, id, .. }: &DeadLetter| (lane.clone(), id.clone());
    match asked {
        Dead::List(list) => Asked::List(list.limit),
        Dead::Show(letter) => {
            let (lane, id) = named(letter);
            Asked::Show(lane, id)
        }
        Dead::Replay(letter) => {
            let (lane, id) = named(letter);
            Asked::Replay(lane, id)
        }
        Dead::Drop(letter) => {
            let (lane, id) = named(letter);
            Asked::Drop(lane, id)
        }
    }
}

/// Asks whoever has the queue.
async fn attend(settings: &Settings, asked: &Asked) -> anyhow::Result<Done> {
    if settings.queue.url.is_none() {
        if let Some(done) = control::ask(&settings.data, asked).await? {
            return Ok(done);
        }
        let path = windlass::line::queue_path(&settings.data);
        if !path.exists() {
            bail!("read the queue: {} is not there; has windlass run with these settings?", path.display());
        }
    }
    let queue = windlass::line::queue(settings).await?;
    let done = letters::attend(&queue, asked).await;
    queue.close().await;
    done.context("attend to dead letters")
}

fn list(letters: &[Letter]) -> anyhow::Result<()> {
    if letters.is_empty() {
        return out("No dead letters.\n");
    }
    out(&format!("{:<8}  {:<16}  {:<44}  {:<8}  {:<24}  WHY\n", "AGE", "LANE", "ID", "ATTEMPTS", "ABOUT"))?;
    let now = now();
    letters.iter().try_for_each(|letter| out(&as_line(letter, now)))
}

fn as_line(letter: &Letter, now: Moment) -> String {
    let Letter { lane, id, deliveries, why, .. } = letter;
    let (age, id, about) = (age(now.since(letter.buried_at)), plain(id), about(letter));
    let why = plain(why.lines().next().unwrap_or_default());
    format!("{age:<8}  {lane:<16}  {id:<44}  {deliveries:<8}  {about:<24}  {why}\n")
}

/// Returns the target, or else the source.
fn about(Letter { about, .. }: &Letter) -> String {
    let target = about.target.as_ref().map(ToString::to_string);
    target.or_else(|| about.source.as_ref().map(ToString::to_string)).unwrap_or_else(|| "-".to_owned())
}

fn age(millis: u64) -> String {
    match millis / 1000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// Leaves out what would lead a terminal: ids come from outside.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn as_json(letter: &Letter) -> serde_json::Value {
    let Letter { lane, id, about, deliveries, buried_at, why, .. } = letter;
    let target = about.target.as_ref().map(ToString::to_string);
    json!({
        "lane": lane, "id": id, "source": about.source, "target": target, "commit": about.commit,
        "attempts": deliveries, "buried_at": time(*buried_at), "why": why,
    })
}

/// Returns everything that is known of a letter.
fn whole(letter: &Letter) -> String {
    let Letter { lane, id, about, deliveries, buried_at, why, body } = letter;
    let mut text = format!("lane       {}\nid         {}\n", plain(lane), plain(id));
    let lines = [
        ("source     ", about.source.as_ref().map(ToString::to_string)),
        ("target     ", about.target.as_ref().map(ToString::to_string)),
        ("commit     ", about.commit.as_ref().map(ToString::to_string)),
    ];
    for (what, value) in lines {
        text += &value.map(|value| format!("{what}{value}\n")).unwrap_or_default();
    }
    text += &format!("attempts   {deliveries}\nburied     {}\nwhy\n{}", time(*buried_at), indented(why));
    let body = body.as_deref().unwrap_or_default();
    let read = serde_json::from_str::<serde_json::Value>(body).ok();
    let pretty = read.and_then(|value| serde_json::to_string_pretty(&value).ok());
    text + "body\n" + &indented(pretty.as_deref().unwrap_or(body))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {}\n", plain(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass::letters::About;

    #[test]
    fn ages_are_told_in_the_unit_that_says_most() {
        for (millis, expected) in [
            (0, "0 s"),
            (119_999, "119 s"),
            (120_000, "2 min"),
            (7_199_000, "119 min"),
            (7_200_000, "2 h"),
            (172_799_000, "47 h"),
            (172_800_000, "2 d"),
        ] {
            assert_eq!(age(millis), expected, "{millis}");
        }
    }

    #[test]
    fn nothing_that_a_letter_says_leads_the_terminal() {
        let letter = Letter {
            lane: "events".to_owned(),
            id: "a\u{1b}[2Jb\nc".to_owned(),
            about: About::default(),
            deliveries: 3,
            buried_at: Moment(0),
            why: "first\u{7}\nsecond\u{9b}".to_owned(),
            body: Some("no JSON\u{1b}]0;x\u{7}".to_owned()),
        };
        let (line, whole) = (as_line(&letter, Moment(5_000)), whole(&letter));
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.starts_with("5 s ") && line.ends_with("first \n"), "{line:?}");
        for text in [&line, &whole] {
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        }
        assert!(whole.contains("attempts   3\n") && whole.contains("  second"), "{whole}");
    }
}
