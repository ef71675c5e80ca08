//! The prune guard: which of the objects that left a commit may be deleted.

use crate::annotation::Prune;
use crate::annotation::Wish;
use crate::object::Live;

/// How much may be pruned without consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many objects may always go.
    pub least: usize,
    /// Or so many of a hundred members, when that is more.
    pub percent: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { least: 10, percent: 20 }
    }
}

/// What the guard says of the objects that left the commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// These may be deleted.
    pub prune: Vec<Live>,
    /// These stay, each with the reason; the commit is not fully true while they do.
    pub kept: Vec<(Live, String)>,
}

/// Judges which of `leaving` may be deleted, where `members` objects are the application's, the commit declares
/// `wanted`, and `consent` tells whether the commit allows this application's prune.
///
/// An empty commit prunes nothing, with or without consent: it is far more often a mistake than a wish.
#[must_use]
pub fn judge(leaving: Vec<Live>, members: usize, wanted: usize, limits: Limits, consent: bool) -> Judged {
    let allowed = limits.least.max(members.saturating_mul(limits.percent) / 100);
    let count = leaving.len();
    if wanted == 0 {
        return keep_all(leaving, "the commit declares no object at all, so nothing is pruned");
    }
    if count > allowed && !consent {
        return keep_all(
            leaving,
            &format!(
                "{count} of {members} objects would be deleted, but only {allowed} may be without consent"
            ),
        );
    }
    let mut judged = Judged::default();
    for live in leaving {
        if consent {
            judged.prune.push(live);
        } else if live.id.group_kind().holds_data() {
            let why = format!("a {} takes what it holds with it, so it needs consent", live.id.kind);
            judged.kept.push((live, why));
        } else if Wish::of(&live.value).prune == Prune::Confirm {
            judged.kept.push((live, "its annotation asks for consent".to_owned()));
        } else {
            judged.prune.push(live);
        }
    }
    judged
}

fn keep_all(leaving: Vec<Live>, why: &str) -> Judged {
    Judged { prune: Vec::new(), kept: leaving.into_iter().map(|live| (live, why.to_owned())).collect() }
}

/// The trailer by which a commit consents, followed by a colon and the application's name.
const TRAILER: &str = "windlass-allow-prune:";

/// Returns whether a commit message carries `Windlass-Allow-Prune: <application>` on a line of its own.
#[must_use]
pub fn consents(message: &str, application: &str) -> bool {
    message.lines().any(|line| {
        let line = line.trim();
        let (head, tail) = line.split_at_checked(TRAILER.len()).unwrap_or_default();
        head.eq_ignore_ascii_case(TRAILER) && tail.trim() == application
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Limits;
    use super::consents;
    use super::judge;
    use crate::object::Live;

    fn leaving(kind: &str, count: usize) -> Vec<Live> {
        let one = |n| json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": format!("x{n}") } });
        (0..count).map(|n| Live::read(one(n)).unwrap()).collect()
    }

    #[test]
    fn the_guard_by_table() {
        // kind, leaving, members, wanted, consent → how many are pruned
        let cases = [
            ("ConfigMap", 3, 5, 2, false, 3),
            ("ConfigMap", 10, 12, 2, false, 10),
            ("ConfigMap", 11, 12, 1, false, 0),
            ("ConfigMap", 11, 12, 1, true, 11),
            ("ConfigMap", 20, 100, 80, false, 20),
            ("ConfigMap", 21, 100, 79, false, 0),
            ("ConfigMap", 3, 3, 0, false, 0),
            ("ConfigMap", 3, 3, 0, true, 0),
            ("Namespace", 1, 5, 4, false, 0),
            ("Namespace", 1, 5, 4, true, 1),
            ("PersistentVolumeClaim", 1, 5, 4, false, 0),
        ];
        for (kind, count, members, wanted, consent, pruned) in cases {
            let judged = judge(leaving(kind, count), members, wanted, Limits::default(), consent);
            assert_eq!(judged.prune.len(), pruned, "{kind} {count} {members} {wanted} {consent}");
            assert_eq!(judged.kept.len(), count - pruned);
        }
    }

    #[test]
    fn consent_names_the_application() {
        let cases = [
            ("fix\n\nWindlass-Allow-Prune: shop\n", true),
            ("windlass-allow-prune:shop", true),
            ("Windlass-Allow-Prune: shopping", false),
            ("say Windlass-Allow-Prune: shop", false),
            ("Windlass-Allow-Prune:", false),
            ("", false),
        ];
        for (message, expected) in cases {
            assert_eq!(consents(message, "shop"), expected, "{message:?}");
        }
    }
}
