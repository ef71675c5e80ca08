//! What a pass of a target's tip would do: found out as a pass does, and without a write.

use std::collections::BTreeSet;

use crate::application::Application;
use crate::application::Target;
use crate::applyset::Parent;
use crate::clock::now;
use crate::commit::CommitId;
use crate::drift;
use crate::drift::Foretold;
use crate::job::Job;
use crate::job::Permit;
use crate::job::Reason;
use crate::member;
use crate::object::Live;
use crate::outcome::Action;
use crate::outcome::Change;
use crate::outcome::Problem;

use super::Begun;
use super::Error;
use super::Ready;
use super::Reconciler;
use super::check::Checked;
use super::conflicts::told;
use super::write::taking;

/// What a pass would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The commit that it would make true; `None` where the reference leads nowhere.
    pub tip: Option<CommitId>,
    /// What it would do to which objects, by name; without those that are as declared.
    pub changes: Vec<Change>,
    /// How many objects are as declared already.
    pub unchanged: usize,
    /// Why it would write nothing, where it would not; or what it would leave undone.
    pub problems: Vec<Problem>,
}

impl Reconciler {
    /// Returns whether this is the one that reaches a cluster.
    #[must_use]
    pub fn reaches(&self, target: &Target) -> bool {
        self.hands.clusters.contains_key(&target.cluster)
    }

    /// Finds out what a pass of the tip would do to a target, as its application is defined here. What differs is
    /// held against the server's dry-run. Nothing is written, and nobody is told.
    ///
    /// # Errors
    /// The source or the cluster; a target of another installation.
    pub async fn preview(&self, application: &Application, target: &Target) -> Result<Preview, Error> {
        let (cluster, source) = (self.cluster(&target.cluster)?, self.source(&application.source)?);
        let (parent, kinds) = tokio::join!(cluster.parent(&target.application), cluster.kinds());
        let (parent, kinds) = (parent?, kinds?);
        let problem = |message: String| Problem { object: None, place: None, message };
        let resolved = source.resolve(&application.reference, &[]).await?;
        let Some(tip) = resolved.tip else {
            let problems = vec![problem(application.reference.absence())];
            return Ok(Preview { tip: None, changes: Vec::new(), unchanged: 0, problems });
        };
        let inputs = source.inputs(&tip, &application.path_in(&target.cluster)).await?;
        let job = Job {
            version: crate::job::VERSION,
            target: target.clone(),
            dispatch: "preview".to_owned(),
            application: application.clone(),
            // What was done counts where the target reads the same.
            definition: Some(parent.fence.definition)
                .filter(|_| parent.fence.inputs.as_ref() == Some(&inputs))
                .unwrap_or_default(),
            commit: tip.clone(),
            inputs: inputs.clone(),
            before: None,
            reason: Reason::Unsure,
            received_at: now(),
            permit: Permit::Never,
            fights: Vec::new(),
            rollout: None,
            back: None,
            prunes: None,
        };
        self.is_ours(&target.cluster, &parent)?;
        let run = uuid::Uuid::now_v7().to_string();
        let begun = Begun {
            job,
            run,
            parent,
            kinds,
            tip: tip.clone(),
            inputs,
            answers_failure: false,
            is_shared: false,
        };
        let refused = |problems| Preview { tip: Some(tip), changes: Vec::new(), unchanged: 0, problems };
        if let Some(problem) = self.refusal(&begun).await? {
            return Ok(refused(vec![problem]));
        }
        match self.weigh(begun).await? {
            Ok(ready) => Ok(shown(ready)),
            Err(stopped) => Ok(refused(stopped.problems)),
        }
    }
}

fn shown(ready: Ready) -> Preview {
    let (parent, application) = (&ready.begun.parent, &ready.begun.job.application);
    let write = |checked: &Checked| {
        let action = if checked.write.live.is_some() { Action::Configured } else { Action::Created };
        let notes: Vec<String> = told(checked, parent, application)
            .into_iter()
            .chain(lost(checked, parent, application))
            .collect();
        let note = Some(notes.join(", ")).filter(|note| !note.is_empty());
        Change { object: checked.write.manifest.id.clone(), action, note }
    };
    let pruned = |live: &Live| Change { object: live.id.clone(), action: Action::Pruned, note: None };
    let left = ready.left.iter().filter_map(|left| {
        let note = Some(left.why.clone()?);
        Some(Change { object: left.id.clone(), action: Action::Kept, note })
    });
    let again = |checked: &Checked| {
        let note = Some("once the one that is being deleted is gone".to_owned());
        Change { object: checked.write.manifest.id.clone(), action: Action::Created, note }
    };
    let written = ready.writes.iter().map(write).chain(ready.leaving.iter().map(again));
    let mut changes: Vec<Change> = written.chain(ready.prune.iter().map(pruned)).chain(left).collect();
    changes.extend(ready.kept);
    changes.sort_by(|one, other| one.object.cmp(&other.object));
    let (tip, unchanged) = (Some(ready.begun.tip), ready.unchanged.len());
    Preview { tip, changes, unchanged, problems: ready.unmet }
}

/// Returns what goes from an object besides, because the tool that set it is taken over from and the manifest does not set
/// it. No dry-run shows that before the fields are ours.
fn lost(checked: &Checked, parent: &Parent, application: &Application) -> Option<String> {
    let live = checked.write.live.as_ref()?;
    let patch = taking(&checked.write, live, parent, application)?;
    let mut ours = live.value.clone();
    let entries = ours.pointer_mut("/metadata/managedFields")?;
    *entries = patch.pointer("/metadata/managedFields")?.clone();
    let (Foretold::Changed(fields) | Foretold::Undecided(fields)) =
        drift::foretell(&ours, &checked.write.manifest.value, Some(&member::manager(&application.name)))
    else {
        return None;
    };
    let gone: BTreeSet<String> =
        fields.into_iter().filter(|one| one.declared.is_none()).map(|one| one.field).collect();
    let gone: Vec<String> = gone.into_iter().filter(|field| !checked.fields.contains(field)).collect();
    (!gone.is_empty()).then(|| format!("goes: {}", gone.join(", ")))
}
