//! Fields that other managers set: whether they are taken from them, and what is said of it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::annotation::Wish;
use crate::application::Application;
use crate::application::Conflicts;
use crate::application::Name;
use crate::applyset;
use crate::applyset::Parent;
use crate::cluster;
use crate::cluster::Answer;
use crate::drift;
use crate::job::Reason;
use crate::member;
use crate::object::Live;
use crate::plan;
use crate::plan::Write;
use crate::takeover;
use crate::takeover::Taken;
use crate::takeover::takes_all_of;

use super::check::Checked;
use super::check::Checker;
use super::check::body;
use super::check::is_contested;

/// What to do about a field that is not taken from who set it.
pub(super) const WAYS_OUT: &str = "have that manager let go of the field, take it out of the manifest, or annotate the \
    object with windlass.dev/conflicts: take";

/// What the server would make of a write.
#[derive(Debug)]
pub(super) struct Dry {
    /// The object as it would be.
    pub(super) merged: Value,
    /// Does that take fields from others, although it is not to be?
    pub(super) contested: bool,
}

impl From<Value> for Dry {
    fn from(merged: Value) -> Self {
        Self { merged, contested: false }
    }
}

/// Returns what is done where others have set a field of an object otherwise: what it says itself, or else its application.
pub(super) fn conflicts(wish: &Wish, application: &Application) -> Conflicts {
    wish.conflicts.unwrap_or(application.conflicts)
}

impl Checker<'_> {
    /// Asks the server what it would make of a write. Where nothing is to be taken from others, it is asked without force at
    /// first; what is taken over anyway is no conflict, and drift is told of by what it would be.
    pub(super) async fn dry_run(&self, write: &Write) -> Result<Dry, cluster::Error> {
        let (job, manifest) = (&self.begun.job, body(write, write.live.as_ref(), self.manager));
        let ask = |conflicts| self.cluster.dry_run(self.kinds, self.manager, &manifest, conflicts);
        let conflicts = conflicts(&write.wish, &job.application);
        let error = match ask(conflicts).await {
            Err(error) if conflicts == Conflicts::Refuse && is_contested(&error) => error,
            answer => return answer.map(Dry::from),
        };
        let is_taken = error.answer().is_some_and(|answer| self.takes_all(write, answer));
        let contested = !is_taken;
        if is_taken || (job.reason == Reason::Drifted && write.live.is_some()) {
            return ask(Conflicts::Take).await.map(|merged| Dry { merged, contested });
        }
        Err(error)
    }

    /// Returns whether all who have set fields otherwise are taken over from before the object is applied.
    fn takes_all(&self, write: &Write, answer: &Answer) -> bool {
        let Some(live) = &write.live else { return false };
        let (parent, application) = (&self.begun.parent, &self.begun.job.application);
        let owner = former_owner(live, parent).as_ref().map(member::manager);
        let tools = plan::takes_over(write, live, &parent.id()).then_some(application.takes_over.as_slice());
        let from = Taken { tools, owner: owner.as_deref() };
        answer.contestants().all(|name| takes_all_of(&live.value, name, from))
    }
}

/// Returns the application that an object moves from.
pub(super) fn former_owner(live: &Live, parent: &Parent) -> Option<Name> {
    let owner = applyset::owning_application(live, &parent.namespace);
    owner.filter(|name| applyset::parent_name(name) != parent.name)
}

/// Returns the tools from which an object is taken over.
fn taken_over<'a>(
    write: &Write,
    live: &'a Live,
    parent: &Parent,
    application: &'a Application,
) -> impl Iterator<Item = &'a str> {
    let live = Some(live).filter(|live| plan::takes_over(write, live, &parent.id()));
    live.into_iter().flat_map(|live| takeover::former(&live.value, &application.takes_over))
}

/// Returns what is told of a write: from whom the object is taken over, and the fields that differ, each with those who
/// had set it otherwise.
pub(super) fn told(checked: &Checked, parent: &Parent, application: &Application) -> Vec<String> {
    if checked.anew {
        return vec![format!("deleted and created anew for {}", checked.fields.join(", "))];
    }
    let Some(live) = &checked.write.live else { return checked.fields.clone() };
    let owner = Some(live).filter(|live| live.label(member::PART_OF) != Some(&*parent.id()));
    let owner = owner.and_then(|live| former_owner(live, parent));
    let former: BTreeSet<&str> = taken_over(&checked.write, live, parent, application).collect();
    let manager = member::manager(&application.name);
    let takes = conflicts(&checked.write.wish, application) == Conflicts::Take;
    let field = |name: &String| {
        let holders = drift::holders(&live.value, name, &manager);
        let holders: Vec<&str> = holders.into_iter().filter(|name| !former.contains(name)).collect();
        if holders.is_empty() || owner.is_some() || !takes {
            name.clone()
        } else {
            format!("{name} (taken from {})", holders.join(" and "))
        }
    };
    let fields: Vec<String> = checked.fields.iter().map(field).collect();
    let owner = owner.iter().map(|name| format!("moved here from application {name}"));
    owner.chain(former.iter().map(|name| format!("taken over from {name}"))).chain(fields).collect()
}
