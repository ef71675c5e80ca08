//! Short texts for statuses: one line that says what happened. Nothing here knows the limits of a forge; the values
//! were masked where they were made.

use crate::application::Target;
use crate::commit::CommitId;
use crate::outcome::Counts;
use crate::outcome::Phase;
use crate::outcome::Problem;
use crate::outcome::Rollback;
use crate::outcome::Tally;

/// How many targets does the text of a whole commit name?
pub const NAMED: usize = 3;

/// How long may a text be, in characters? Every forge allows less.
const LINE: usize = 500;

/// What is known about a commit and a target, for a text about it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// How far the work has come.
    pub phase: Phase,
    /// What was done to how many objects.
    pub tally: &'a Tally,
    /// The first thing that stands in the way.
    pub problem: Option<&'a Problem>,
    /// How many problems there are besides the first.
    pub others: u64,
    /// The commit that took this one's place.
    pub by: Option<&'a CommitId>,
    /// How long it took, in milliseconds.
    pub took_ms: Option<u64>,
    /// That its target went back to an earlier commit.
    pub rollback: Option<&'a Rollback>,
}

/// Returns what became of a commit in one target, as one line.
#[must_use]
pub fn target(facts: &Facts<'_>) -> String {
    let text = match facts.phase {
        Phase::Pending => facts.problem.map_or_else(|| "queued".to_owned(), |why| format!("waiting: {why}")),
        Phase::Running => {
            facts.problem.map_or_else(|| "applying".to_owned(), |why| format!("waiting: {why}"))
        }
        Phase::Applied => applied(facts.tally),
        Phase::Healthy => healthy(facts.tally, facts.took_ms),
        Phase::Failed => trouble(facts, "failed, and no reason was given"),
        Phase::Error => trouble(facts, "windlass could not do its part"),
        Phase::Superseded => match facts.by {
            Some(by) => format!("superseded by {} before it was applied", by.short()),
            None => "superseded by a later commit before it was proven healthy".to_owned(),
        },
    };
    match facts.rollback {
        None => line(&text),
        Some(Rollback::From(commit)) => line(&format!("rolled back from {}: {text}", commit.short())),
        Some(Rollback::To(commit)) => {
            let why = facts.problem.map_or_else(|| text.clone(), |_| trouble(facts, &text));
            line(&format!("rolled back to {}: {why}", commit.short()))
        }
    }
}

fn applied(tally: &Tally) -> String {
    let objects = tally.created.saturating_add(tally.configured).saturating_add(tally.unchanged);
    let text = format!("{} applied, waiting for health", count(objects, "object", "objects"));
    if tally.held == 0 { text } else { format!("{text} before {} more", tally.held) }
}

fn healthy(tally: &Tally, took_ms: Option<u64>) -> String {
    let changes = [
        (tally.configured, "configured"),
        (tally.created, "created"),
        (tally.pruned, "pruned"),
        (tally.kept, "kept"),
    ];
    let mut parts: Vec<String> =
        changes.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if parts.is_empty() {
        parts.push(match tally.unchanged {
            0 => "no objects".to_owned(),
            unchanged => format!("{unchanged} unchanged"),
        });
    }
    let end = took_ms.map_or_else(|| "healthy".to_owned(), |millis| format!("healthy in {}", took(millis)));
    parts.push(end);
    parts.join(", ")
}

fn trouble(facts: &Facts<'_>, otherwise: &str) -> String {
    let Some(problem) = facts.problem else { return otherwise.to_owned() };
    let text = match (&problem.object, &problem.place) {
        (Some(object), _) => format!("{object}: {}", problem.message),
        (None, Some(place)) => format!("{}:{}: {}", place.file, place.line, problem.message),
        (None, None) => problem.message.clone(),
    };
    match facts.others {
        0 => text,
        // The number stays readable when a long message has to be cut.
        others => format!("{} (and {others} more)", cut(&one_line(&text), LINE / 2)),
    }
}

/// Returns what became of a commit as a whole, as one line; `bad` are the first [`NAMED`] targets that failed or
/// are in error, or more.
///
/// While any target is open the text depends on their number alone: a forge is not told about every step of each. Where
/// all that are open wait to be opened, `held` says what one of them waits for.
#[must_use]
pub fn whole(counts: &Counts, bad: &[Target], held: Option<&str>) -> String {
    let all = counts.all();
    if let Some(why) = held.filter(|_| counts.open > 0) {
        return line(&format!("{} of {} waiting: {why}", counts.open, count(all, "target", "targets")));
    }
    if counts.open > 0 {
        return format!("rolling out to {}", count(all, "target", "targets"));
    }
    if counts.healthy == all {
        return format!("{} healthy", count(all, "target", "targets"));
    }
    let mut text = format!("{} of {} healthy", counts.healthy, count(all, "target", "targets"));
    for (number, word) in
        [(counts.superseded, "superseded"), (counts.failed, "failed"), (counts.error, "in error")]
    {
        if number > 0 {
            text.push_str(&format!(", {number} {word}"));
        }
    }
    if !bad.is_empty() {
        let names: Vec<String> = bad.iter().take(NAMED).map(ToString::to_string).collect();
        text.push_str(&format!(": {}", names.join(", ")));
    }
    let named = u64::try_from(bad.len().min(NAMED)).unwrap_or(u64::MAX);
    let unnamed = counts.failed.saturating_add(counts.error).saturating_sub(named);
    if unnamed > 0 {
        text.push_str(&format!(" and {unnamed} more"));
    }
    line(&text)
}

fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// Returns a span of time for people: `4.1 s`, `3 min 5 s`, `2 h 10 min`.
#[must_use]
pub fn took(millis: u64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0..60 => format!("{seconds}.{} s", millis % 1_000 / 100),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// Cuts a text to at most `limit` characters, the last of which is then an ellipsis. Characters are Unicode scalar
/// values, as forges count them.
#[must_use]
pub fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(limit.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    if limit > 0 {
        short.push('…');
    }
    short
}

fn line(text: &str) -> String {
    cut(&one_line(text), LINE)
}

/// Turns white space and control characters into single spaces.
fn one_line(text: &str) -> String {
    let parts = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::Facts;
    use super::cut;
    use super::target;
    use super::took;
    use super::whole;
    use crate::application::Name;
    use crate::application::Target;
    use crate::commit::CommitId;
    use crate::object::ObjectId;
    use crate::object::Place;
    use crate::outcome::Counts;
    use crate::outcome::Phase;
    use crate::outcome::Problem;
    use crate::outcome::Rollback;
    use crate::outcome::Tally;

    const TALLY: Tally = Tally { created: 1, configured: 3, unchanged: 8, pruned: 0, kept: 0, held: 0 };

    fn facts(phase: Phase) -> Facts<'static> {
        Facts {
            phase,
            tally: &TALLY,
            problem: None,
            others: 0,
            by: None,
            took_ms: Some(4_120),
            rollback: None,
        }
    }

    fn problem(message: &str) -> Problem {
        let object = ObjectId {
            group: "apps".into(),
            kind: "Deployment".into(),
            namespace: Some("shop".into()),
            name: "web".into(),
        };
        Problem { object: Some(object), place: None, message: message.into() }
    }

    #[test]
    fn every_phase_has_a_text() {
        let cases = [
            (Phase::Pending, "queued"),
            (Phase::Running, "applying"),
            (Phase::Applied, "12 objects applied, waiting for health"),
            (Phase::Healthy, "3 configured, 1 created, healthy in 4.1 s"),
            (Phase::Failed, "failed, and no reason was given"),
            (Phase::Error, "windlass could not do its part"),
            (Phase::Superseded, "superseded by a later commit before it was proven healthy"),
        ];
        for (phase, text) in cases {
            assert_eq!(target(&facts(phase)), text);
        }
    }

    #[test]
    fn a_text_says_what_waits_for_a_later_wave() {
        let tally = Tally { created: 1, held: 2, ..Tally::default() };
        let text = target(&Facts { tally: &tally, ..facts(Phase::Applied) });
        assert_eq!(text, "1 object applied, waiting for health before 2 more");
    }

    #[test]
    fn a_healthy_text_names_what_changed_or_that_nothing_did() {
        let cases = [
            (Tally { pruned: 2, kept: 1, ..Tally::default() }, "2 pruned, 1 kept, healthy in 4.1 s"),
            (Tally { unchanged: 5, ..Tally::default() }, "5 unchanged, healthy in 4.1 s"),
            (Tally::default(), "no objects, healthy in 4.1 s"),
        ];
        for (tally, text) in cases {
            assert_eq!(target(&Facts { tally: &tally, ..facts(Phase::Healthy) }), text);
        }
    }

    #[test]
    fn a_failure_says_where_and_what_and_how_much_more() {
        let quota = problem("quota exceeded");
        let failed = Facts { problem: Some(&quota), ..facts(Phase::Failed) };
        assert_eq!(target(&failed), "Deployment/shop/web: quota exceeded");
        let more = Facts { others: 2, ..failed };
        assert_eq!(target(&more), "Deployment/shop/web: quota exceeded (and 2 more)");
        let place = Place { file: "web.yaml".into(), document: 2, line: 12 };
        let syntax = Problem { object: None, place: Some(place), message: "a tab\n\tindents".into() };
        let broken = Facts { problem: Some(&syntax), ..facts(Phase::Failed) };
        assert_eq!(target(&broken), "web.yaml:12: a tab indents");
    }

    #[test]
    fn a_long_message_is_cut_and_still_says_how_much_more() {
        let long = problem(&"ä".repeat(10_000));
        let text = target(&Facts { problem: Some(&long), others: 7, ..facts(Phase::Failed) });
        assert!(text.chars().count() < 300 && text.ends_with("… (and 7 more)"), "{text}");
    }

    #[test]
    fn what_is_held_says_what_it_waits_for() {
        let why = "closed until 2026-12-01 08:00 CET by window nights";
        let problem = Problem { object: None, place: None, message: why.into() };
        let text = target(&Facts { problem: Some(&problem), ..facts(Phase::Pending) });
        assert_eq!(text, format!("waiting: {why}"));
    }

    #[test]
    fn both_commits_say_that_one_was_rolled_back_to_the_other() {
        let commit = CommitId::parse(&"0123456789".repeat(4)).unwrap();
        let (from, to) = (Rollback::From(commit.clone()), Rollback::To(commit));
        let (quota, by) =
            (problem("quota exceeded"), Problem { object: None, ..problem("by ana: it is slow") });
        for (facts, text) in [
            (
                Facts { rollback: Some(&from), ..facts(Phase::Healthy) },
                "rolled back from 012345678901: 3 configured",
            ),
            (
                Facts { rollback: Some(&from), problem: Some(&quota), ..facts(Phase::Failed) },
                "rolled back from 012345678901: Deployment/shop/web: quota exceeded",
            ),
            (
                Facts { rollback: Some(&to), problem: Some(&quota), ..facts(Phase::Failed) },
                "rolled back to 012345678901: Deployment/shop/web: quota exceeded",
            ),
            (
                Facts { rollback: Some(&to), problem: Some(&by), ..facts(Phase::Superseded) },
                "rolled back to 012345678901: by ana: it is slow",
            ),
        ] {
            assert!(target(&facts).starts_with(text), "{}", target(&facts));
        }
    }

    #[test]
    fn a_superseded_text_names_the_commit_that_overtook() {
        let by = CommitId::parse(&"0123456789".repeat(4)).unwrap();
        let text = target(&Facts { by: Some(&by), ..facts(Phase::Superseded) });
        assert_eq!(text, "superseded by 012345678901 before it was applied");
    }

    #[test]
    fn the_whole_counts_its_parts_and_names_the_bad_ones() {
        let of = |cluster: &str| Target {
            application: Name::parse("shop").unwrap(),
            cluster: Name::parse(cluster).unwrap(),
        };
        let counts =
            |open, healthy, failed, error, superseded| Counts { open, healthy, failed, error, superseded };
        let cases = [
            (counts(2, 1, 0, 0, 0), vec![], "rolling out to 3 targets"),
            (counts(1, 0, 0, 0, 0), vec![], "rolling out to 1 target"),
            (counts(0, 3, 0, 0, 0), vec![], "3 targets healthy"),
            (counts(0, 1, 0, 0, 0), vec![], "1 target healthy"),
            (counts(0, 0, 0, 0, 2), vec![], "0 of 2 targets healthy, 2 superseded"),
            (counts(0, 2, 1, 0, 0), vec![of("east")], "2 of 3 targets healthy, 1 failed: shop@east"),
            (
                counts(0, 1, 4, 1, 1),
                ["a", "b", "c"].map(of).to_vec(),
                "1 of 7 targets healthy, 1 superseded, 4 failed, 1 in error: shop@a, shop@b, shop@c and 2 more",
            ),
        ];
        for (counts, bad, text) in cases {
            assert_eq!(whole(&counts, &bad, None), text);
        }
        let why = "closed until 2026-12-01 08:00 CET by window nights";
        let waiting = whole(&counts(2, 1, 0, 0, 0), &[], Some(why));
        assert_eq!(waiting, format!("2 of 3 targets waiting: {why}"));
        assert_eq!(whole(&counts(0, 1, 0, 0, 0), &[], Some(why)), "1 target healthy");
    }

    #[test]
    fn spans_are_written_for_people() {
        let cases = [
            (0, "0.0 s"),
            (4_199, "4.1 s"),
            (59_999, "59.9 s"),
            (185_000, "3 min 5 s"),
            (7_800_000, "2 h 10 min"),
        ];
        for (millis, text) in cases {
            assert_eq!(took(millis), text);
        }
    }

    #[test]
    fn cutting_counts_characters_and_never_breaks_one() {
        let cases =
            [("häß", 3, "häß"), ("häßlich", 4, "häß…"), ("ab cd", 4, "ab…"), ("abc", 0, ""), ("", 0, "")];
        for (text, limit, expected) in cases {
            assert_eq!(cut(text, limit), expected);
        }
    }
}
