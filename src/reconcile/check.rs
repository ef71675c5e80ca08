//! The dry-run of one write.

use crate::cluster::Answer;
use crate::cluster::Cluster;
use crate::cluster::Kinds;
use crate::drift;
use crate::fault::Fault;
use crate::object::Manifest;
use crate::outcome::Problem;
use crate::plan::Write;

use super::Error;
use super::crds::Declared;

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
}

/// Lets the server check one write dry; the inner error is its refusal.
pub(super) async fn check(
    cluster: &Cluster,
    kinds: &Kinds,
    manager: &str,
    declared: &Declared,
    write: Write,
) -> Result<Result<Checked, Problem>, Error> {
    let manifest = &write.manifest;
    if kinds.scope(&manifest.api_version, &manifest.id.kind).is_none() {
        return Ok(Ok(Checked { write, fields: Vec::new(), checked: false }));
    }
    let namespace = manifest.id.namespace.as_deref();
    let stand_in = namespace.filter(|name| write.live.is_none() && declared.namespaces.contains(*name));
    let mut answer = cluster.dry_run(kinds, manager, manifest, None).await;
    let missing = |error: &crate::cluster::Error| error.answer().is_some_and(Answer::is_not_found);
    let mut checked = true;
    if stand_in.is_some() && answer.as_ref().is_err_and(missing) {
        answer = cluster.dry_run(kinds, manager, manifest, Some(STAND_IN)).await;
        // What the stand-in's own rules refuse says nothing of the namespace that is to come.
        if answer.as_ref().is_err_and(|error| error.answer().is_some_and(Answer::is_forbidden)) {
            return Ok(Ok(Checked { write, fields: Vec::new(), checked: false }));
        }
        checked = answer.is_ok();
    }
    match answer {
        Ok(merged) => {
            let fields = write.live.as_ref().map(|live| drift::between(&live.value, &merged, manager));
            Ok(Ok(Checked { write, fields: fields.unwrap_or_default(), checked }))
        }
        Err(error) if error.fault() == Fault::Theirs => Ok(Err(refusal(&error, manifest))),
        Err(error) => Err(error.into()),
    }
}

/// Returns a refusal in the server's own words.
pub(super) fn refusal(error: &crate::cluster::Error, manifest: &Manifest) -> Problem {
    let words = error.answer().map_or_else(|| error.to_string(), ToString::to_string);
    Problem { object: Some(manifest.id.clone()), place: Some(manifest.place.clone()), message: words }
}
