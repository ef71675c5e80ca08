//! What stays in the cluster although the commit does not declare it.

use crate::drift::Sum;
use crate::object::Live;
use crate::outcome::Action;
use crate::outcome::Change;
use crate::outcome::Problem;

use super::Begun;
use super::prepare::Extent;

/// An object that stays, and why.
type Kept = (Live, String);

/// What stays although the commit does not declare it.
#[derive(Default)]
pub(super) struct Stays {
    pub(super) kept: Vec<Change>,
    /// What of it the guard kept, so that the commit is not wholly true.
    pub(super) unmet: Vec<Problem>,
    /// What it comes to.
    pub(super) sum: Sum,
}

impl Stays {
    /// Takes what the guard kept and what others' reasons keep, and widens the extent by it.
    pub(super) fn of(
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

/// Says how to consent to what the guard keeps.
fn consent(begun: &Begun) -> String {
    let (target, tip) = (&begun.job.target, begun.tip.short());
    format!(
        "to consent, add the trailer Windlass-Allow-Prune with the application's name to the newest commit, or run \
         windlass sync {target} --allow-prune {tip}"
    )
}
