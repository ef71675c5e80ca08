//! The alarm of a webhook that does not tell of pushes: refs move, and only the sweep sees it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::application::Name;
use crate::moment::Moment;

/// Is 1 for a `source` while only the sweep sees its pushes.
pub const QUIET: &str = "windlass_webhook_quiet_alarm";

/// After how many looks that found pushes, without a delivery of one in between, does the alarm ring? One delivery may be
/// on its way while the sweep looks.
const RINGS_AFTER: u32 = 2;

/// What the sweep knows of the deliveries about each source.
#[derive(Debug, Default)]
pub struct Quiet(Mutex<BTreeMap<Name, Ears>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ears {
    /// When the sweep last looked.
    looked_at: Moment,
    /// How many looks found pushes since a delivery last told of one.
    missed: u32,
}

impl Quiet {
    /// Notes a look at a source: whether refs had moved, and when a delivery last told of it. Returns whether its
    /// webhook is quiet.
    pub fn note(&self, source: &Name, moved: bool, last_told: Option<Moment>, now: Moment) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.get(source).copied();
        let after = looked(before, moved, last_told, now);
        all.insert(source.clone(), after);
        let rang = before.is_some_and(|ears| ears.missed >= RINGS_AFTER);
        let rings = after.missed >= RINGS_AFTER;
        if rings != rang {
            metrics::gauge!(QUIET, "source" => source.to_string()).set(if rings { 1.0 } else { 0.0 });
        }
        if rings && !rang {
            tracing::error!(
                source = %source,
                "the webhook is quiet: {RINGS_AFTER} sweeps found pushes, and no delivery of a push came in between, so they arrive \
                 late. See at the forge whether the webhook is there, active, and what its last deliveries were answered"
            );
        } else if rang && !rings {
            tracing::info!(source = %source, "the webhook tells of pushes again");
        }
        rings
    }
}

/// Returns what is known after a look. The first look after a start says nothing: windlass may have been away.
fn looked(before: Option<Ears>, moved: bool, last_told: Option<Moment>, now: Moment) -> Ears {
    let Some(before) = before else { return Ears { looked_at: now, missed: 0 } };
    let told = last_told.is_some_and(|at| at >= before.looked_at);
    let missed = match (told, moved) {
        (true, _) => 0,
        (false, true) => before.missed.saturating_add(1),
        (false, false) => before.missed,
    };
    Ears { looked_at: now, missed }
}

#[cfg(test)]
mod tests {
    use super::Quiet;
    use crate::application::Name;
    use crate::moment::Moment;

    /// Whether refs moved, and when a delivery last told of it.
    type Look = (bool, Option<i64>);

    /// Looks every 100 ms.
    fn looks(list: &[Look]) -> Vec<bool> {
        let (quiet, source) = (Quiet::default(), Name::parse("shop").unwrap());
        let look = |(index, (moved, told)): (usize, &Look)| {
            let now = Moment(i64::try_from(index).unwrap() * 100);
            quiet.note(&source, *moved, told.map(Moment), now)
        };
        list.iter().enumerate().map(look).collect()
    }

    #[test]
    fn a_webhook_is_quiet_when_sweeps_see_what_no_delivery_told() {
        let cases: &[(&[Look], &[bool])] = &[
            // What happened before the start is not its fault, and one push may be on its way.
            (&[(true, None), (true, None), (true, None)], &[false, false, true]),
            (&[(false, None), (true, None), (false, None), (true, None)], &[false, false, false, true]),
            (&[(true, None), (false, None), (false, None), (false, None)], &[false; 4]),
            // A delivery since the last look says that it works, and ends the alarm.
            (&[(true, None), (true, Some(50)), (true, Some(150))], &[false; 3]),
            (&[(true, None), (true, Some(-1)), (true, Some(-1))], &[false, false, true]),
            (&[(true, None), (true, None), (true, None), (false, Some(250))], &[false, false, true, false]),
        ];
        for (list, expected) in cases {
            assert_eq!(looks(list), *expected, "{list:?}");
        }
    }
}
