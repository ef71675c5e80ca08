//! Every annotation that is understood, with all its values.

use crate::application::Conflicts;
use crate::application::SelfHeal;

use super::ARGO_FAILED;
use super::ARGO_HOOK;
use super::ARGO_HOOK_DELETE;
use super::ARGO_WAVE;
use super::Awaited;
use super::DEADLINE;
use super::FAILED;
use super::FINISHED;
use super::FLUX_RECONCILE;
use super::Force;
use super::HELM_HOOK_DELETE;
use super::HELM_WEIGHT;
use super::HOOK;
use super::HOOK_DELETE;
use super::Hook;
use super::IGNORE;
use super::Prune;
use super::SELF_HEAL;
use super::SUCCEEDED;
use super::SYNC;
use super::SyncMode;
use super::WAVE;

const PRUNE: &str = "windlass.dev/prune";
const CONFLICTS: &str = "windlass.dev/conflicts";
const FORCE: &str = "windlass.dev/force";
const HEALTH: &str = "windlass.dev/health";
const FLUX_PRUNE: &str = "kustomize.toolkit.fluxcd.io/prune";
const FLUX_SSA: &str = "kustomize.toolkit.fluxcd.io/ssa";
const FLUX_FORCE: &str = "kustomize.toolkit.fluxcd.io/force";
const ARGO_OPTIONS: &str = "argocd.argoproj.io/sync-options";
const HELM_POLICY: &str = "helm.sh/resource-policy";
const HELM_HOOK: &str = "helm.sh/hook";
const ARGO_HEALTH: &str = "argocd.argoproj.io/ignore-healthcheck";
const ARGO_RESTART: &str = "argocd.argoproj.io/ignore-restart-policy";

/// One value of an annotation: its word, what says the same elsewhere, and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Annotation {
    /// The key.
    pub key: &'static str,
    /// The value; for [`IGNORE`] and [`WAVE`] an example of one.
    pub value: &'static str,
    /// The keys and values of Flux and Argo CD that ask for the same.
    pub alike: &'static [(&'static str, &'static str)],
    /// What windlass does then, for people.
    pub says: &'static str,
    pub(super) ask: Ask,
}

/// What a row asks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    Prune(Prune),
    Sync(SyncMode),
    SelfHeal(SelfHeal),
    Conflicts(Conflicts),
    Ignore,
    Force(Force),
    Health(Awaited),
    Wave,
    Hook(Hook),
    Cleared,
    Deadline,
}

const fn row(
    key: &'static str,
    value: &'static str,
    alike: &'static [(&'static str, &'static str)],
    ask: Ask,
    says: &'static str,
) -> Annotation {
    Annotation { key, value, alike, says, ask }
}

/// Every value of every annotation. Where several of others' words for one key are given, the first row counts: the more
/// careful ones stand first.
pub const ANNOTATIONS: &[Annotation] = &[
    row(
        PRUNE,
        "disabled",
        &[
            (FLUX_PRUNE, "disabled"),
            (ARGO_OPTIONS, "Prune=false"),
            (ARGO_OPTIONS, "Delete=false"),
            (HELM_POLICY, "keep"),
        ],
        Ask::Prune(Prune::Disabled),
        "Once it left the commit it stays. It remains a member, and every pass says that it was kept.",
    ),
    row(
        PRUNE,
        "confirm",
        &[(ARGO_OPTIONS, "Prune=confirm"), (ARGO_OPTIONS, "Delete=confirm")],
        Ask::Prune(Prune::Confirm),
        "Once it left the commit it is deleted only with consent: the trailer `Windlass-Allow-Prune`, or a person's.",
    ),
    row(
        PRUNE,
        "enabled",
        &[],
        Ask::Prune(Prune::Enabled),
        "Once it left the commit it is deleted, within the prune guard: the default.",
    ),
    row(
        SYNC,
        "disabled",
        &[
            (FLUX_RECONCILE, "disabled"),
            (FLUX_SSA, "Ignore"),
            (ARGO_HOOK, "Skip"),
            (ARGO_HOOK, "PreDelete"),
            (ARGO_HOOK, "PostDelete"),
            (HELM_HOOK, "pre-delete"),
            (HELM_HOOK, "post-delete"),
            (HELM_HOOK, "pre-rollback"),
            (HELM_HOOK, "post-rollback"),
            (HELM_HOOK, "test"),
            (HELM_HOOK, "test-success"),
        ],
        Ask::Sync(SyncMode::Disabled),
        "It is not created, not changed and not waited for. A live object that says so is not deleted either.",
    ),
    row(
        SYNC,
        "create-only",
        &[(FLUX_SSA, "IfNotPresent")],
        Ask::Sync(SyncMode::CreateOnly),
        "It is created where it is not there, and left as it is from then on.",
    ),
    row(
        SYNC,
        "merge",
        &[(FLUX_SSA, "Merge")],
        Ask::Sync(SyncMode::Merge),
        "Fields that others own in the live object stay as they are; all others are made as declared.",
    ),
    row(
        SYNC,
        "enabled",
        &[(FLUX_SSA, "Override")],
        Ask::Sync(SyncMode::Enabled),
        "Every field that it sets is made as declared: the default.",
    ),
    row(
        SELF_HEAL,
        "correct",
        &[],
        Ask::SelfHeal(SelfHeal::Correct),
        "Its drift is corrected, whatever `applications[].self_heal` says.",
    ),
    row(
        SELF_HEAL,
        "report",
        &[],
        Ask::SelfHeal(SelfHeal::Report),
        "Its drift is recorded and not corrected, whatever `applications[].self_heal` says.",
    ),
    row(
        SELF_HEAL,
        "off",
        &[],
        Ask::SelfHeal(SelfHeal::Off),
        "Its drift is left to the next commit, whatever `applications[].self_heal` says.",
    ),
    row(
        CONFLICTS,
        "refuse",
        &[],
        Ask::Conflicts(Conflicts::Refuse),
        "Where another field manager has set a field of it to something else, the commit is refused with its name, whatever `applications[].conflicts` says.",
    ),
    row(
        CONFLICTS,
        "take",
        &[],
        Ask::Conflicts(Conflicts::Take),
        "Such a field is taken from whoever set it, whatever `applications[].conflicts` says.",
    ),
    row(
        IGNORE,
        "/spec/replicas, /metadata/annotations/example.org~1note",
        &[],
        Ask::Ignore,
        "These fields, as JSON pointers with commas or spaces between them, are set when it is created and left to others \
         from then on: at most 64.",
    ),
    row(
        FORCE,
        "enabled",
        &[(FLUX_FORCE, "enabled"), (ARGO_OPTIONS, "Force=true")],
        Ask::Force(Force::Enabled),
        "Where only fields differ that cannot be changed, and the server would take it as a new object, it is deleted and \
         created anew; not where that deletes more than the object: PersistentVolumes and their claims, Namespaces, \
         definitions, snapshots, and StatefulSets with volumeClaimTemplates.",
    ),
    row(
        FORCE,
        "enabled-with-data-loss",
        &[],
        Ask::Force(Force::WithDataLoss),
        "The same, also where that deletes more than the object. Take it away again with the next commit.",
    ),
    row(
        FORCE,
        "disabled",
        &[],
        Ask::Force(Force::Disabled),
        "A change of a field that cannot be changed is refused: the default.",
    ),
    row(
        HEALTH,
        "ignore",
        &[(ARGO_HEALTH, "true")],
        Ask::Health(Awaited::Nothing),
        "It counts as healthy, whatever it reports.",
    ),
    row(
        HEALTH,
        "ready",
        &[(ARGO_RESTART, "true")],
        Ask::Health(Awaited::Readiness),
        "A Pod that does not restart always is healthy while it is ready, and not only once it has succeeded; other objects \
         and hooks as without.",
    ),
    row(
        HEALTH,
        "wait",
        &[],
        Ask::Health(Awaited::Health),
        "It is waited for until it is healthy: the default.",
    ),
    row(
        WAVE,
        "2",
        &[(ARGO_WAVE, "2"), (HELM_WEIGHT, "2")],
        Ask::Wave,
        "A whole number, 0 by default: it is written once every object of a lower wave is healthy, and pruned before those \
         of lower ones. Definitions and Namespaces come first in any case.",
    ),
    row(
        HOOK,
        "before",
        &[(ARGO_HOOK, "PreSync"), (HELM_HOOK, "pre-install"), (HELM_HOOK, "pre-upgrade")],
        Ask::Hook(Hook::Before),
        "It is made anew in each rollout, such as a Job that migrates a database, before all others but definitions and \
         Namespaces; those wait until it is healthy, as a Job is that completed.",
    ),
    row(
        HOOK,
        "during",
        &[(ARGO_HOOK, "Sync")],
        Ask::Hook(Hook::During),
        "It is made anew in each rollout, in its wave.",
    ),
    row(
        HOOK,
        "after",
        &[(ARGO_HOOK, "PostSync"), (HELM_HOOK, "post-install"), (HELM_HOOK, "post-upgrade")],
        Ask::Hook(Hook::After),
        "It is made anew in each rollout once all others are healthy and what left the commit is pruned.",
    ),
    row(
        HOOK,
        FAILED,
        &[(ARGO_HOOK, ARGO_FAILED)],
        Ask::Hook(Hook::Failed),
        "It is made anew when a rollout failed whose objects were written, or a part of them, such as a Job that tells of it. The server checks it dry \
         in every rollout.",
    ),
    row(
        HOOK_DELETE,
        SUCCEEDED,
        &[(ARGO_HOOK_DELETE, "HookSucceeded"), (HELM_HOOK_DELETE, "hook-succeeded")],
        Ask::Cleared,
        "The hook is deleted at the end of a rollout that succeeds.",
    ),
    row(
        HOOK_DELETE,
        FAILED,
        &[(ARGO_HOOK_DELETE, "HookFailed"), (HELM_HOOK_DELETE, "hook-failed")],
        Ask::Cleared,
        "The hook is deleted where it failed, once the verdict is told.",
    ),
    row(HOOK_DELETE, FINISHED, &[], Ask::Cleared, "The hook is deleted in both cases."),
    row(
        HOOK_DELETE,
        "before-next",
        &[(ARGO_HOOK_DELETE, "BeforeHookCreation"), (HELM_HOOK_DELETE, "before-hook-creation")],
        Ask::Cleared,
        "The hook stays until the next rollout makes it anew: the default.",
    ),
    row(
        DEADLINE,
        "90s",
        &[],
        Ask::Deadline,
        "The hook is waited for at most so long (`s`, `m` or `h`), where that is less than `health_deadline` leaves; then its rollout \
         fails.",
    ),
];
