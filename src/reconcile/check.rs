//! The dry-run of one write.

use std::borrow::Cow;

use serde_json::Value;

use crate::annotation::Turn;
use crate::cluster;
use crate::cluster::Answer;
use crate::cluster::Cluster;
use crate::cluster::Kinds;
use crate::drift;
use crate::fault::Fault;
use crate::member;
use crate::object::Live;
use crate::object::Manifest;
use crate::outcome::Problem;
use crate::plan;
use crate::plan::Force;
use crate::plan::Left;
use crate::plan::Write;

use super::Begun;
use super::Error;
use super::Reconciler;
use super::conflicts::Dry;
use super::conflicts::WAYS_OUT;
use super::crds::Declared;
use super::moves::Owners;

/// The namespace that takes the place of one that this very plan creates; every cluster has it.
const STAND_IN: &str = "default";

/// A write that the server accepted dry.
#[derive(Debug)]
pub struct Checked {
    pub(super) write: Write,
    /// The fields that differ; empty for an object that is not there yet.
    pub(super) fields: Vec<String>,
    /// Could it be checked? Not where its kind does not exist yet.
    pub(super) checked: bool,
    /// Is the object deleted and created anew?
    pub(super) anew: bool,
    /// Does it take fields from others although that is not to be? Only a pass after drift goes on then, to tell of it.
    pub(super) contested: bool,
}

impl Checked {
    /// Makes one of an object that is created, or changed in these fields.
    pub(super) fn new(write: Write, fields: Vec<String>, checked: bool) -> Self {
        Self { write, fields, checked, anew: false, contested: false }
    }

    /// Makes one of an object that is deleted and created anew because of these fields.
    pub(super) fn anew(write: Write, fields: Vec<String>) -> Self {
        Self { write, fields, checked: true, anew: true, contested: false }
    }

    /// Returns the turn in which it is written.
    pub(super) fn turn(&self) -> (Turn, u8) {
        (self.write.wish.turn(), plan::rank(&self.write.manifest.id.group_kind()))
    }

    /// Returns whether the object is there already as its manifest has it.
    pub(super) fn is_as_declared(&self) -> bool {
        self.write.live.is_some() && self.fields.is_empty() && !self.anew
    }
}

/// What became of a check.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The server would take it.
    Fine(Box<Checked>),
    /// The object is there, and is left as it is.
    Left(Left),
    /// The server would not take it, by the definition of its kind that it has; the commit brings one too.
    Doubtful(Box<Write>, Problem),
    /// The server would not take it yet, since what it needs is not there; another application may bring that.
    Early(Problem),
}

impl Verdict {
    fn unchecked(write: Write) -> Self {
        Self::Fine(Box::new(Checked::new(write, Vec::new(), false)))
    }
}

/// Who checks, and against what.
pub(super) struct Checker<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) kinds: &'a Kinds,
    pub(super) manager: &'a str,
    /// The set that the objects are to be members of.
    pub(super) set: &'a str,
    /// What the commit itself brings into being, as far as it is not there yet.
    pub(super) declared: &'a Declared,
    /// For which pass.
    pub(super) begun: &'a Begun,
    /// Who finds out what other applications declare.
    pub(super) reconciler: &'a Reconciler,
    /// What was found out of that.
    pub(super) owners: Owners,
}

impl<'a> Checker<'a> {
    /// Makes one for a pass, for the set and the field manager of its application.
    pub(super) fn new(
        reconciler: &'a Reconciler,
        cluster: &'a Cluster,
        begun: &'a Begun,
        (set, manager): (&'a str, &'a str),
        declared: &'a Declared,
    ) -> Self {
        let kinds = &begun.kinds;
        Self { cluster, kinds, manager, set, declared, begun, reconciler, owners: Owners::default() }
    }
}

impl Checker<'_> {
    /// Lets the server check one write dry; the inner error is its refusal, or that the object is another's.
    pub(super) async fn check(&self, mut write: Write) -> Result<Result<Verdict, Problem>, Error> {
        if self.kinds.scope(&write.manifest.api_version, &write.manifest.id.kind).is_none() {
            return Ok(Ok(Verdict::unchecked(write)));
        }
        let Some((mut answer, checked)) = self.ask(&write).await else {
            return Ok(Ok(Verdict::unchecked(write)));
        };
        // Nobody looked for it before: the answer tells that it is there, or may be a refusal because it is.
        if write.live.is_none() && answer.as_ref().map_or_else(is_refusal, |dry| is_there(&dry.merged)) {
            write.live = match self.read(&write.manifest).await? {
                Ok(live) => live,
                Err(problem) => return Ok(Err(problem)),
            };
            match self.there(&mut write).await? {
                Ok(None) => {}
                Ok(Some(left)) => return Ok(Ok(Verdict::Left(left))),
                Err(problem) => return Ok(Err(problem)),
            }
            if write.live.as_ref().is_some_and(Live::is_terminating) {
                return Err(Error::Leaving(write.manifest.id));
            }
            if write.live.is_some() && (write.wish.cedes() || answer.as_ref().is_err_and(is_contested)) {
                answer = self.dry_run(&write).await;
            }
        }
        match answer {
            Ok(Dry { merged, contested }) => {
                let fields =
                    write.live.as_ref().map(|live| drift::between(&live.value, &merged, self.manager));
                let fine = Checked::new(write, fields.unwrap_or_default(), checked);
                Ok(Ok(Verdict::Fine(Box::new(Checked { contested, ..fine }))))
            }
            Err(error) if is_refusal(&error) => self.refused(write, &error).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Judges an object that turned out to be there: another's is refused, unless that one lets it go, or it would not be
    /// written anyway.
    async fn there(&self, write: &mut Write) -> Result<Result<Option<Left>, Problem>, Error> {
        let Some(live) = &write.live else { return Ok(Ok(None)) };
        let why = if plan::stays_as_created(&write.wish, live) {
            let member = live.label(member::PART_OF) == Some(self.set) && plan::is_ours(live, self.manager);
            Some((!member).then(|| "left as it is: it was there before".to_owned()))
        } else if let Some(problem) = plan::foreign(live, &write.manifest, self.set, self.manager)
            && !self.reconciler.lets_go(self.begun, &self.owners, live).await?
        {
            return Ok(Err(problem));
        } else {
            plan::unwritten(&write.wish, Some(live)).map(Some)
        };
        let id = write.manifest.id.clone();
        Ok(Ok(why.map(|why| Left { id, live: write.live.take(), why })))
    }

    /// Ends the check of a write that was refused, unless its object may be deleted and created anew, and the server
    /// would take it as a new one.
    async fn refused(&self, write: Write, error: &cluster::Error) -> Result<Result<Verdict, Problem>, Error> {
        let mut problem = refusal(error, &write.manifest);
        if error.answer().is_some_and(Answer::is_early) {
            return Ok(Ok(Verdict::Early(problem)));
        }
        if is_contested(error) {
            return Ok(Err(problem));
        }
        let causes = error.answer().map(Answer::causes).unwrap_or_default();
        let fields = match plan::force(&write, self.set, self.manager, causes) {
            Force::Recreated(fields) => fields,
            refused @ (Force::Refused | Force::Unasked(_)) => {
                if let Force::Unasked(what) = refused {
                    // A status is short, and the server's words may be long.
                    problem.message = format!("{what}: {}", problem.message);
                }
                // Where the commit brings the definition of the kind, another one may take it.
                let Manifest { api_version, id, .. } = &write.manifest;
                let brings = self.declared.definition(api_version, &id.kind).is_some();
                return Ok(if brings {
                    Ok(Verdict::Doubtful(Box::new(write), problem))
                } else {
                    Err(problem)
                });
            }
        };
        match self.cluster.dry_run_anew(self.kinds, self.manager, &write.manifest).await {
            Ok(_) => Ok(Ok(Verdict::Fine(Box::new(Checked::anew(write, fields))))),
            Err(error) if is_refusal(&error) => {
                let why = refusal(&error, &write.manifest).message;
                problem.message =
                    format!("{}; it is not created anew, since that is refused too: {why}", problem.message);
                Ok(Err(problem))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Lets the server check dry an object that is deleted and made anew; the inner error is its refusal.
    pub(super) async fn check_anew(&self, write: Write) -> Result<Result<Verdict, Problem>, Error> {
        match self.cluster.dry_run_anew(self.kinds, self.manager, &write.manifest).await {
            Ok(_) => {
                let fields = vec!["the new rollout".to_owned()];
                Ok(Ok(Verdict::Fine(Box::new(Checked::anew(write, fields)))))
            }
            Err(error) if error.answer().is_some_and(Answer::is_early) => {
                Ok(Ok(Verdict::Early(refusal(&error, &write.manifest))))
            }
            Err(error) if is_refusal(&error) => Ok(Err(refusal(&error, &write.manifest))),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets the server check dry an object that is being deleted and is written once it is gone: as a change of the one that
    /// is still there, and where that is refused, as a new one. What only one of them may have, such as a port or a part of
    /// a quota, is no refusal of the next.
    pub(super) async fn check_leaving(&self, write: Write) -> Result<Result<Verdict, Problem>, Error> {
        if self.dry_run(&write).await.is_err() {
            return self.check_anew(write).await;
        }
        Ok(Ok(Verdict::Fine(Box::new(Checked::new(write, Vec::new(), true)))))
    }

    /// Returns the server's answer, and whether it is about the object in its own place; nothing where only a stand-in
    /// was refused.
    async fn ask(&self, write: &Write) -> Option<(Result<Dry, cluster::Error>, bool)> {
        let manifest = &write.manifest;
        let namespace = manifest.id.namespace.as_deref();
        let to_come =
            write.live.is_none() && namespace.is_some_and(|name| self.declared.namespaces.contains(name));
        let answer = self.dry_run(write).await;
        let missing = |error: &cluster::Error| error.answer().is_some_and(Answer::is_not_found);
        if !to_come || !answer.as_ref().is_err_and(missing) {
            return Some((answer, true));
        }
        let answer = self.cluster.dry_run_in(self.kinds, self.manager, manifest, STAND_IN).await;
        // What the stand-in's own rules refuse says nothing of the namespace that is to come.
        if answer.as_ref().is_err_and(|error| error.answer().is_some_and(Answer::is_forbidden)) {
            return None;
        }
        let checked = answer.is_ok();
        Some((answer.map(Dry::from), checked))
    }

    /// Reads the object of a manifest by its name; the inner error is that this is forbidden.
    async fn read(&self, manifest: &Manifest) -> Result<Result<Option<Live>, Problem>, Error> {
        let object = [(manifest.api_version.as_str(), &manifest.id)];
        match self.cluster.read(self.kinds, &object).await {
            Ok(found) => Ok(Ok(found.into_iter().next())),
            Err(errors) => match errors.into_iter().next().map(Error::from) {
                None => Ok(Ok(None)),
                Some(error) if error.fault() == Fault::Theirs => Ok(Err(error.problem())),
                Some(error) => Err(error),
            },
        }
    }
}

/// Returns what of a manifest is applied to the object as it is: without the fields that are left to others.
pub(super) fn body<'a>(write: &'a Write, live: Option<&Live>, manager: &str) -> Cow<'a, Manifest> {
    let Some(live) = live.filter(|_| write.wish.cedes()) else { return Cow::Borrowed(&write.manifest) };
    let value = drift::ceded(&write.manifest.value, &live.value, manager, &write.wish).into_owned();
    Cow::Owned(Manifest { value, ..write.manifest.clone() })
}

/// Returns whether a dry-run's answer is about an object that exists: one that would be created has no version.
fn is_there(answer: &Value) -> bool {
    answer
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str)
        .is_some_and(|version| !version.is_empty())
}

pub(super) fn is_contested(error: &cluster::Error) -> bool {
    error.answer().is_some_and(Answer::is_contested)
}

fn is_refusal(error: &cluster::Error) -> bool {
    error.fault() == Fault::Theirs
}

/// Returns a refusal in the server's own words.
pub(super) fn refusal(error: &cluster::Error, manifest: &Manifest) -> Problem {
    let mut words = error.answer().map_or_else(|| error.to_string(), ToString::to_string);
    if is_contested(error) {
        words = format!("{words}; {WAYS_OUT}");
    }
    Problem { object: Some(manifest.id.clone()), place: Some(manifest.place.clone()), message: words }
}
