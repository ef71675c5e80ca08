//! What stays in the cluster although the commit does not declare it.

use std::collections::BTreeSet;

use crate::drift::Sum;
use crate::guard::Judged;
use crate::guard::Known;
use crate::object::Live;
use crate::object::Manifest;
use crate::object::ObjectId;
use crate::outcome::Action;
use crate::outcome::Change;
use crate::outcome::Problem;

use super::Begun;
use super::Error;
use super::Reconciler;
use super::look::Found;
use super::prepare::Extent;

/// An object that stays, and why.
type Kept = (Live, String);

/// What becomes of what the commit does not declare: some of it goes, the rest stays.
#[derive(Default)]
pub(super) struct Stays {
    pub(super) prune: Vec<Live>,
    pub(super) kept: Vec<Change>,
    /// What of it the guard kept, so that the commit is not wholly true.
    pub(super) unmet: Vec<Problem>,
    /// What it comes to.
    pub(super) sum: Sum,
    /// What the guard keeps since all that was there would have gone.
    pub(super) withheld: BTreeSet<ObjectId>,
}

impl Stays {
    /// Takes what the guard kept and what others' reasons keep, and widens the extent by it.
    fn of(
        begun: &Begun,
        (set, manager): (&str, &str),
        (guarded, others): (Vec<Kept>, Vec<Kept>),
        extent: &mut Extent,
    ) -> Self {
        let mut stays = Self::default();
        let consent = begun.job.application.prune.then(|| consent(begun));
        let guarded = guarded.into_iter().map(|kept| (kept, consent.as_deref()));
        for ((live, why), consent) in guarded.chain(others.into_iter().map(|kept| (kept, None))) {
            extent.add(&live.id);
            stays.sum = stays.sum.and(Sum::of(&live, set, manager));
            if let Some(consent) = consent {
                let message = format!("left the commit but was kept by the prune guard: {why}; {consent}");
                stays.unmet.push(Problem { object: Some(live.id.clone()), place: None, message });
            }
            stays.kept.push(Change { object: live.id, action: Action::Kept, note: Some(why) });
        }
        stays
    }
}

impl Reconciler {
    /// Parts what left the commit into what is pruned and what stays.
    ///
    /// # Errors
    /// The source or the cluster, where the next try may find it otherwise.
    pub(super) async fn part(
        &self,
        (begun, set, manager): (&Begun, &str, &str),
        (leaving, kept): (Vec<Live>, Vec<Kept>),
        known: Known<'_>,
        extent: &mut Extent,
    ) -> Result<Stays, Error> {
        let (leaving, moved) = self.moved_on(begun, leaving).await?;
        let known = Known { staying: known.staying + moved.len(), ..known };
        let judged = self.judge(begun, leaving, known).await?;
        let withheld = and_withheld(known.withheld.clone(), &judged);
        let others = kept.into_iter().chain(moved).collect();
        let stays = Stays::of(begun, (set, manager), (judged.kept, others), extent);
        Ok(Stays { prune: judged.prune, withheld, ..stays })
    }
}

/// How many objects that the guard withholds does the parent name? Where more would go at once, those that take their place
/// are hardly so many that the guard lets them.
const WITHHELD: usize = 500;

/// Returns what the guard kept before, since it was all that was there, and would have to keep still: it is there and not
/// declared again. Of a kind that is not served at present, all may be there.
pub(super) fn still_withheld(begun: &Begun, manifests: &[Manifest], found: &Found) -> BTreeSet<ObjectId> {
    let mut withheld = begun.parent.fence.withheld.clone();
    if !withheld.is_empty() {
        let there: BTreeSet<&ObjectId> = found.members.iter().map(|live| &live.id).collect();
        withheld.retain(|id| there.contains(id) || found.unknown.contains(&id.group_kind()));
        for manifest in manifests {
            withheld.remove(&manifest.id);
        }
    }
    withheld
}

/// Adds what the guard keeps now since all that was there would go.
fn and_withheld(mut withheld: BTreeSet<ObjectId>, judged: &Judged) -> BTreeSet<ObjectId> {
    let all = judged.kept.iter().filter(|_| judged.all).map(|(live, _)| live.id.clone());
    let room = WITHHELD.saturating_sub(withheld.len());
    withheld.extend(all.take(room));
    withheld
}

/// Says how to consent to what the guard keeps.
fn consent(begun: &Begun) -> String {
    let (target, tip) = (&begun.job.target, begun.tip.short());
    format!(
        "to consent, add the trailer Windlass-Allow-Prune with the application's name to the newest commit, or run \
         windlass sync {target} --allow-prune {tip}"
    )
}
