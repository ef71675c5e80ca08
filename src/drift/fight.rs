//! Whether windlass and another manager fight over an object: each undoes what the other did, again and again.

use std::collections::BTreeMap;

use crate::application::Target;
use crate::moment::Moment;
use crate::object::ObjectId;
use crate::outcome::Drift;
use crate::outcome::Drifted;
use crate::outcome::Fight;

/// How often must the same correction have been undone, so that it is a fight?
const TIMES: u32 = 3;

/// After how long without drift is an object's history of corrections forgotten, in milliseconds? Corrections that are
/// put off longest follow each other in half of it.
pub const CALM_MS: u64 = 600_000;

/// Returns the fights of a target, by the last records of its drift, the newest first.
///
/// A fight begins when the same manager has undone the same correction of one commit three times in a row, each within
/// [`CALM_MS`] of the one before. Once it is recorded it lasts for that commit, however long ago that was, until the
/// object drifts in another way.
#[must_use]
pub fn fights(records: &[(Moment, Drift)], target: &Target, now: Moment) -> Vec<Fight> {
    let mut rows: BTreeMap<&ObjectId, Row<'_>> = BTreeMap::new();
    for (at, record) in records.iter().filter(|(_, record)| record.target == *target) {
        for one in &record.objects {
            match rows.get_mut(&one.object) {
                Some(row) => row.go_on(*at, record, one),
                None => drop(rows.insert(&one.object, Row::begin(*at, record, one, now))),
            }
        }
    }
    rows.into_values().filter_map(Row::fight).collect()
}

/// Corrections of one object, from the newest back.
struct Row<'a> {
    newest: (&'a Drift, &'a Drifted),
    times: u32,
    since: Moment,
    /// Is what came before it another thing?
    over: bool,
}

impl<'a> Row<'a> {
    fn begin(at: Moment, record: &'a Drift, one: &'a Drifted, now: Moment) -> Self {
        let counts = record.corrected && one.by.is_some() && now.since(at) <= CALM_MS;
        Self { newest: (record, one), times: u32::from(counts), since: at, over: !counts }
    }

    fn go_on(&mut self, at: Moment, record: &Drift, one: &Drifted) {
        let (newest, first) = self.newest;
        let same = record.corrected
            && record.commit == newest.commit
            && (&one.by, &one.fields) == (&first.by, &first.fields)
            && self.since.since(at) <= CALM_MS;
        self.over |= !same;
        if !self.over {
            self.times = self.times.saturating_add(1);
            self.since = at;
        }
    }

    fn fight(self) -> Option<Fight> {
        let (record, one) = self.newest;
        if let Some(known) = record.fights.iter().find(|fight| fight.object == one.object) {
            return Some(known.clone());
        }
        let by = one.by.clone().filter(|_| self.times >= TIMES)?;
        let (object, fields, commit) = (one.object.clone(), one.fields.clone(), record.commit.clone());
        Some(Fight { object, by, fields, commit, times: self.times, since: self.since })
    }
}

#[cfg(test)]
mod tests {
    use super::CALM_MS;
    use super::fights;
    use crate::moment::Moment;
    use crate::outcome::Drift;
    use crate::outcome::Fight;

    /// Returns a record of one object that differed in this field by this manager, in a commit of such digits.
    fn record(field: &str, by: &str, digit: &str, corrected: bool) -> Drift {
        let object = r#"{"group":"","kind":"ConfigMap","namespace":"shop","name":"one"}"#;
        let text = format!(
            r#"{{"run":"r","source":"code","target":{{"application":"shop","cluster":"east"}},"commit":"{}",
            "objects":[{{"object":{object},"fields":["{field}"],"by":"{by}","since":null}}],
            "corrected":{corrected},"problems":[]}}"#,
            digit.repeat(40)
        );
        let mut record: Drift = serde_json::from_str(&text).unwrap();
        if by.is_empty() {
            record.objects[0].by = None;
        }
        record
    }

    fn told(records: Vec<(i64, Drift)>, now: i64) -> Vec<Fight> {
        let target = records[0].1.target.clone();
        let records: Vec<_> = records.into_iter().map(|(at, one)| (Moment(at), one)).collect();
        fights(&records, &target, Moment(now))
    }

    #[test]
    fn the_same_that_is_undone_again_and_again_is_a_fight() {
        let hpa = || record("spec.a", "hpa", "a", true);
        let calm = i64::try_from(CALM_MS).unwrap();
        let cases = [
            ("three", vec![(30, hpa()), (20, hpa()), (10, hpa())], 40, Some((3, 10))),
            ("two", vec![(30, hpa()), (20, hpa())], 40, None),
            ("four", vec![(30, hpa()), (20, hpa()), (10, hpa()), (5, hpa())], 40, Some((4, 5))),
            (
                "another field",
                vec![(30, hpa()), (20, record("spec.b", "hpa", "a", true)), (10, hpa()), (5, hpa())],
                40,
                None,
            ),
            (
                "another manager",
                vec![(30, hpa()), (20, hpa()), (10, record("spec.a", "other", "a", true))],
                40,
                None,
            ),
            (
                "another commit",
                vec![(30, hpa()), (20, hpa()), (10, record("spec.a", "hpa", "b", true))],
                40,
                None,
            ),
            (
                "only told",
                vec![(30, hpa()), (20, hpa()), (10, record("spec.a", "hpa", "a", false))],
                40,
                None,
            ),
            ("nobody is known", vec![(30, record("spec.a", "", "a", true)); 3], 40, None),
            ("calm since", vec![(30, hpa()), (20, hpa()), (10, hpa())], 31 + calm, None),
            ("calm between", vec![(30 + 2 * calm, hpa()), (20, hpa()), (10, hpa())], 40 + 2 * calm, None),
        ];
        for (name, records, now, expected) in cases {
            let found = told(records, now);
            assert_eq!(found.first().map(|one| (one.times, one.since.0)), expected, "{name}");
        }
    }

    #[test]
    fn a_fight_that_is_recorded_lasts_until_the_object_drifts_in_another_way() {
        let hpa = || record("spec.a", "hpa", "a", true);
        let fight = told(vec![(30, hpa()), (20, hpa()), (10, hpa())], 40).remove(0);
        let marked = Drift { fights: vec![fight.clone()], ..record("spec.a", "hpa", "a", false) };
        let late = 40 + 10 * i64::try_from(CALM_MS).unwrap();
        assert_eq!(told(vec![(50, marked.clone()), (30, hpa())], late), [fight]);
        assert_eq!(told(vec![(60, record("spec.b", "you", "a", true)), (50, marked)], 70), []);
        let mut elsewhere = hpa();
        elsewhere.target.cluster = crate::application::Name::parse("west").unwrap();
        let records: Vec<_> = [3, 2, 1].map(|at| (Moment(at), elsewhere.clone())).to_vec();
        assert_eq!(fights(&records, &hpa().target, Moment(4)), [], "another target's");
    }
}
