//! `windlass drift`: what somebody else changed in clusters of what was applied.

use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;
use windlass::application::Name;
use windlass::cli;
use windlass::moment::Moment;
use windlass::outcome::Drift;
use windlass::outcome::Drifted;
use windlass::outcome::Fight;
use windlass::role::Part;

use super::WRONG;
use super::load;
use super::out;
use super::store_of;
use super::time;

/// Prints the last drift.
pub async fn drift(asked: &cli::Drift) -> anyhow::Result<ExitCode> {
    let Some(settings) = load(asked.config.as_deref(), &Part::none())? else {
        return Ok(ExitCode::from(WRONG));
    };
    let application =
        asked.application.as_deref().map(Name::parse).transpose().context("read --application")?;
    let drifts = store_of(&settings).await?.drifts(application.as_ref(), asked.limit).await?;
    if asked.json {
        for (at, one) in &drifts {
            out(&format!("{}\n", json!({ "at": time(*at), "drift": one })))?;
        }
    } else if drifts.is_empty() {
        out("No drift was seen.\n")?;
    } else {
        let (when, target, object, by) = ("WHEN", "TARGET", "OBJECT", "BY");
        out(&format!("{when:<20}  {target:<24}  {:<10}  {object:<44}  {by:<24}  WHAT\n", "OUTCOME"))?;
        drifts.iter().try_for_each(|(at, one)| out(&as_lines(*at, one)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn as_lines(at: Moment, one: &Drift) -> String {
    let (when, target, outcome) = (time(at), one.target.to_string(), one.outcome());
    let line = |object: &str, by: &str, what: &str| {
        format!("{when:<20}  {target:<24}  {outcome:<10}  {object:<44}  {by:<24}  {what}\n")
    };
    let objects = one.objects.iter().map(|Drifted { object, fields, by, .. }| {
        let what = if fields.is_empty() { "gone, or not declared".to_owned() } else { fields.join(", ") };
        let fight = one.fights.iter().find(|fight| fight.object == *object);
        let what = fight.map_or(what, in_words);
        line(&object.to_string(), by.as_deref().unwrap_or("unknown"), &what)
    });
    let problems = one.problems.iter().map(|problem| {
        let object = problem.object.as_ref().map(ToString::to_string).unwrap_or_default();
        line(&object, "", &problem.message)
    });
    objects.chain(problems).collect()
}

/// Returns what people have to know of a fight: who, over what, and how it ends.
fn in_words(fight: &Fight) -> String {
    let Fight { object, by, fields, times, since, .. } = fight;
    format!(
        "fight: windlass and {by} both set {} ({times} times since {}); windlass gives way until a new commit or windlass \
         sync; windlass drift suggest {object} prints the rule that settles it",
        fields.join(", "),
        time(*since)
    )
}

#[cfg(test)]
mod tests {
    use windlass::moment::Moment;
    use windlass::outcome::Drift;
    use windlass::outcome::Fight;

    use super::as_lines;

    #[test]
    fn each_object_is_a_line() {
        let object =
            |name: &str| format!(r#"{{"group":"","kind":"ConfigMap","namespace":"shop","name":"{name}"}}"#);
        let text = format!(
            r#"{{"run":"r","source":"code","target":{{"application":"shop","cluster":"east"}},"commit":"{}",
            "objects":[{{"object":{},"fields":["data.key","data.other"],"by":"kubectl-edit","since":"now"}},
            {{"object":{},"fields":[],"by":null,"since":null}}],"corrected":true,"problems":[]}}"#,
            "a".repeat(40),
            object("one"),
            object("two")
        );
        let mut drift: Drift = serde_json::from_str(&text).unwrap();
        let lines = as_lines(Moment(0), &drift);
        let words: Vec<Vec<&str>> = lines
            .lines()
            .map(|line| line.split("  ").map(str::trim).filter(|w| !w.is_empty()).collect())
            .collect();
        let start = ["1970-01-01 00:00:00Z", "shop@east", "corrected"];
        assert_eq!(words.len(), 2, "{lines}");
        assert_eq!(
            words[0][1..],
            [&start[1..], &["ConfigMap/shop/one", "kubectl-edit", "data.key, data.other"]].concat()
        );
        assert_eq!(
            words[1][1..],
            [&start[1..], &["ConfigMap/shop/two", "unknown", "gone, or not declared"]].concat()
        );
        drift.corrected = false;
        assert!(as_lines(Moment(0), &drift).contains("reported"));
        let (object, commit) = (drift.objects[0].object.clone(), drift.commit.clone());
        let fields = vec!["data.key".to_owned()];
        drift.fights =
            vec![Fight { object, by: "hpa".to_owned(), fields, commit, times: 3, since: Moment(0) }];
        let lines = as_lines(Moment(0), &drift);
        let said = "fight: windlass and hpa both set data.key (3 times since 1970-01-01T00:00:00Z); windlass gives way";
        assert!(
            lines.contains(said) && lines.contains("windlass drift suggest ConfigMap/shop/one prints"),
            "{lines}"
        );
        assert_eq!(lines.matches("fight").count(), 1, "{lines}");
    }
}
