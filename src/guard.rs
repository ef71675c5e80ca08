//! The prune guard: which of the objects that left a commit may be deleted.

use std::collections::BTreeSet;

use crate::annotation::Prune;
use crate::annotation::Wish;
use crate::object::GroupKind;
use crate::object::Live;
use crate::object::ObjectId;

/// How much may be pruned without consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many objects may always go.
    pub least: usize,
    /// Or so many of a hundred members, when that is more.
    pub percent: usize,
    /// The kinds of which nothing goes, beside those that hold data.
    pub kinds: Vec<GroupKind>,
}

impl Limits {
    /// Returns how many of so many members may go without consent.
    fn of(&self, members: usize) -> usize {
        self.least.max(members.saturating_mul(self.percent) / 100)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { least: 10, percent: 20, kinds: Vec::new() }
    }
}

/// What the guard says of the objects that left the commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// These may be deleted.
    pub prune: Vec<Live>,
    /// These stay, each with the reason; the commit is not fully true while they do.
    pub kept: Vec<(Live, String)>,
    /// Do they stay since nothing of what was there would? Then it has to be remembered which they are: once others are
    /// there as well, they are few.
    pub all: bool,
}

/// What is known of an application beside what leaves it.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// How many objects are the application's.
    pub members: usize,
    /// How many of them stay although the commit does not declare them, whatever the guard says.
    pub staying: usize,
    /// How many the commit declares.
    pub wanted: usize,
    /// Which objects were kept before since [all](Judged::all) would have gone.
    pub withheld: &'a BTreeSet<ObjectId>,
}

/// Judges which of `leaving` may be deleted, where `consent` tells to which of them is consented.
///
/// An empty commit prunes nothing, with or without consent: it is far more often a mistake than a wish.
#[must_use]
pub fn judge(
    leaving: Vec<Live>,
    known: Known<'_>,
    limits: &Limits,
    consent: impl Fn(&ObjectId) -> bool,
) -> Judged {
    let members = known.members;
    if known.wanted == 0 {
        return kept(leaving, "the commit declares no object at all, so nothing is pruned");
    }
    let (prune, others): (Vec<_>, Vec<_>) = leaving.into_iter().partition(|live| consent(&live.id));
    if is_all(others.len(), members.saturating_sub(known.staying + prune.len())) {
        return Judged { prune, all: true, ..kept(others, ALL) };
    }
    let (withheld, others): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|live| known.withheld.contains(&live.id));
    let mut judged = Judged { prune, ..kept(withheld, ALL) };
    // They are counted with the others: of very many, not all are known by name.
    let (count, allowed) = (judged.kept.len() + others.len(), limits.of(members));
    if count > allowed {
        let why = format!(
            "{count} of {members} objects would be deleted, but only {allowed} may be without consent"
        );
        judged.kept.extend(kept(others, &why).kept);
        return judged;
    }
    for live in others {
        match needs_consent(&live, limits) {
            Some(why) => judged.kept.push((live, why)),
            None => judged.prune.push(live),
        }
    }
    judged
}

/// Returns whether all of `leaving` may be deleted without anybody's consent.
#[must_use]
pub fn is_free(leaving: &[Live], known: Known<'_>, limits: &Limits) -> bool {
    let may_go = |live: &Live| !known.withheld.contains(&live.id) && needs_consent(live, limits).is_none();
    let count = leaving.len();
    !is_all(count, known.members.saturating_sub(known.staying))
        && count <= limits.of(known.members)
        && leaving.iter().all(may_go)
}

/// Returns whether nothing of an application would stay, however small it is: so it is where the settings lead to another
/// folder. One object alone may always be renamed.
fn is_all(count: usize, members: usize) -> bool {
    members > 1 && count >= members
}

/// Why all that was there stays.
const ALL: &str = "all objects that were there would be deleted, and others take their place";

/// Returns why an object is not deleted without consent, however few they are.
fn needs_consent(live: &Live, limits: &Limits) -> Option<String> {
    let kind = live.id.group_kind();
    if kind.holds_data() {
        return Some(format!("a {} takes what it holds with it, so it needs consent", live.id.kind));
    }
    if limits.kinds.contains(&kind) {
        return Some(format!("the settings guard every {}, so it needs consent", live.id.kind));
    }
    (Wish::of(&live.value).prune == Prune::Confirm).then(|| "its annotation asks for consent".to_owned())
}

fn kept(leaving: Vec<Live>, why: &str) -> Judged {
    let kept = leaving.into_iter().map(|live| (live, why.to_owned())).collect();
    Judged { kept, ..Judged::default() }
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
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::GroupKind;
    use super::Known;
    use super::Limits;
    use super::ObjectId;
    use super::consents;
    use super::is_free;
    use super::judge;
    use crate::object::Live;

    static NONE: BTreeSet<ObjectId> = BTreeSet::new();

    fn known(members: usize, wanted: usize) -> Known<'static> {
        Known { members, staying: 0, wanted, withheld: &NONE }
    }

    fn limits(least: usize, percent: usize) -> Limits {
        Limits { least, percent, kinds: Vec::new() }
    }

    fn leaving(kind: &str, count: usize) -> Vec<Live> {
        let one = |n| json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": format!("x{n}") } });
        (0..count).map(|n| Live::read(one(n)).unwrap()).collect()
    }

    #[test]
    fn consent_to_some_frees_those_and_counts_the_others() {
        let judged = |others: usize, limits: Limits| {
            let mut all = leaving("ConfigMap", 10 + others);
            all.extend(leaving("Namespace", 1));
            let consents = |id: &ObjectId| id.kind == "Namespace" || id.name.starts_with("x1");
            judge(all, known(100, 1), &limits, consents)
        };
        // Of x0 to x19, x1 and x10 to x19 are consented to.
        let free = judged(10, limits(9, 0));
        assert_eq!((free.prune.len(), free.kept.len()), (21, 0));
        let kept = judged(10, limits(8, 0));
        assert_eq!((kept.prune.len(), kept.kept.len()), (12, 9));
        assert!(kept.kept[0].1.starts_with("9 of 100 objects"), "{}", kept.kept[0].1);
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
            ("ConfigMap", 2, 3, 1, false, 2),
            ("ConfigMap", 3, 3, 2, false, 0),
            ("ConfigMap", 2, 2, 1, false, 0),
            ("ConfigMap", 2, 2, 1, true, 2),
            ("ConfigMap", 1, 1, 1, false, 1),
            ("ConfigMap", 3, 3, 0, false, 0),
            ("ConfigMap", 3, 3, 0, true, 0),
            ("Namespace", 1, 5, 4, false, 0),
            ("Namespace", 1, 5, 4, true, 1),
            ("PersistentVolumeClaim", 1, 5, 4, false, 0),
        ];
        for (kind, count, members, wanted, consent, pruned) in cases {
            let judged = judge(leaving(kind, count), known(members, wanted), &Limits::default(), |_| consent);
            assert_eq!(judged.prune.len(), pruned, "{kind} {count} {members} {wanted} {consent}");
            assert_eq!(judged.kept.len(), count - pruned);
        }
    }

    #[test]
    fn kinds_may_be_guarded_by_the_settings() {
        let sets = GroupKind { group: "apps".into(), kind: "StatefulSet".into() };
        let limits = Limits { kinds: vec![sets], ..Limits::default() };
        let leaving = |api_version: &str, kind: &str| {
            let value = json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": "x" } });
            vec![Live::read(value).unwrap()]
        };
        for (api_version, kind, consent, pruned) in [
            ("apps/v1", "StatefulSet", false, 0),
            ("apps/v1", "StatefulSet", true, 1),
            ("other.io/v1", "StatefulSet", false, 1),
            ("apps/v1", "Deployment", false, 1),
        ] {
            assert_eq!(is_free(&leaving(api_version, kind), known(5, 4), &limits), pruned == 1 && !consent);
            let judged = judge(leaving(api_version, kind), known(5, 4), &limits, |_| consent);
            assert_eq!(judged.prune.len(), pruned, "{api_version} {kind} {consent}");
        }
    }

    #[test]
    fn what_was_all_there_was_stays_until_somebody_consents_though_others_are_there_by_then() {
        let first = judge(leaving("ConfigMap", 2), known(2, 1), &Limits::default(), |_| false);
        assert!(first.all && first.prune.is_empty());
        let withheld: BTreeSet<ObjectId> = first.kept.iter().map(|(live, _)| live.id.clone()).collect();
        let again = Known { withheld: &withheld, ..known(4, 1) };
        // Of x0, x1 and x2 the last one is another commit's.
        for (consents, pruned) in [(false, 1), (true, 3)] {
            let judged = judge(leaving("ConfigMap", 3), again, &Limits::default(), |_| consents);
            assert_eq!((judged.prune.len(), judged.kept.len(), judged.all), (pruned, 3 - pruned, false));
        }
        assert!(!is_free(&leaving("ConfigMap", 2), again, &Limits::default()));
        // What somebody consents to, and what stays anyway, leaves no more than the rest.
        let rest = |id: &ObjectId| id.name == "x0";
        let judged = judge(leaving("ConfigMap", 3), known(3, 1), &Limits::default(), rest);
        assert_eq!((judged.prune.len(), judged.all), (1, true));
        let beside = Known { staying: 1, ..known(3, 1) };
        assert!(judge(leaving("ConfigMap", 2), beside, &Limits::default(), |_| false).all);
        // Of more than are remembered, the others are not few either.
        let many = Known { withheld: &withheld, ..known(23, 3) };
        let judged = judge(leaving("ConfigMap", 12), many, &limits(10, 20), |_| false);
        assert_eq!((judged.prune.len(), judged.kept.len()), (0, 12));
        // The way back: what was withheld is declared again, and what came with the mistake leaves.
        let back = judge(leaving("Secret", 1), Known { members: 3, ..again }, &Limits::default(), |_| false);
        assert_eq!((back.prune.len(), back.all), (1, false));
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
