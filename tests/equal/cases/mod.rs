//! A table of cases, written by hand: what was applied, what others did then, what is declared now, and what the server's
//! dry-run makes of that.

/// A case. Texts of it stand in its frame in place of `BODY`.
pub struct Case {
    pub name: &'static str,
    pub frame: &'static str,
    /// What windlass applied first.
    pub applied: &'static str,
    /// What others did then.
    pub others: Others,
    /// What is declared now.
    pub declared: &'static str,
    pub says: Says,
}

/// What others do to an object.
#[derive(Clone, Copy)]
pub enum Others {
    Nothing,
    /// They apply something on the server's side, in the case's frame.
    Apply(&'static str),
    /// They change it by a merge patch, given as JSON.
    Patch(&'static str),
    /// They created it, before windlass applied anything, as `kubectl create` does.
    Created(&'static str),
}

/// What the server says of applying what is declared, and whether windlass knows that without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// It changes nothing, and windlass knows.
    Same,
    /// It changes nothing, and windlass has to ask.
    Asked,
    /// It changes exactly these fields.
    Changes(&'static [&'static str]),
    /// It refuses, with these words among others.
    Refuses(&'static str),
    /// Windlass refuses to read it.
    Unread(&'static str),
}

mod filled;
mod told;
// A table is read by its rows, which would be broken up.
#[rustfmt::skip]
mod shapes;
#[rustfmt::skip]
mod values;

pub use told::tell;

use Others::Apply;
use Others::Created;
use Others::Patch;
use Says::Asked;
use Says::Changes;
use Says::Refuses;
use Says::Same;
use Says::Unread;

const fn case(
    name: &'static str,
    frame: &'static str,
    [applied, declared]: [&'static str; 2],
    says: Says,
) -> Case {
    Case { name, frame, applied, others: Others::Nothing, declared, says }
}

impl Case {
    const fn after(mut self, others: Others) -> Self {
        self.others = others;
        self
    }
}

/// An object as a whole.
const WHOLE: &str = "BODY";
const MAP: &str = "{ apiVersion: v1, kind: ConfigMap, metadata: { name: NAME }, BODY }";
const LABELLED: &str = "{ apiVersion: v1, kind: ConfigMap, metadata: { name: NAME, BODY } }";
const SECRET: &str = "{ apiVersion: v1, kind: Secret, metadata: { name: NAME }, BODY }";
const SERVICE: &str =
    "{ apiVersion: v1, kind: Service, metadata: { name: NAME }, spec: { selector: { app: NAME }, BODY } }";
const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: NAME }
spec: { selector: { matchLabels: { app: a } }, template: { metadata: { labels: { app: a } },
    spec: { containers: [{ name: one, image: 'example.org/one:1' }] } }, BODY }";
/// Of pods, without a controller that would write as well.
const PODS: &str = "
apiVersion: v1
kind: PodTemplate
metadata: { name: NAME }
template: { metadata: { labels: { app: a } },
    spec: { containers: [{ name: one, image: 'example.org/one:1' }], BODY } }";
const CONTAINER: &str = "
apiVersion: v1
kind: PodTemplate
metadata: { name: NAME }
template: { metadata: { labels: { app: a } },
    spec: { containers: [{ name: one, image: 'example.org/one:1', BODY }] } }";
const POLICY: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: NAME }
spec: { podSelector: {}, BODY }";
const STRICT: &str = "{ apiVersion: GROUP/v1, kind: Strict, metadata: { name: NAME }, spec: { BODY } }";
const LOOSE: &str = "{ apiVersion: GROUP/v1, kind: Loose, metadata: { name: NAME }, BODY }";

/// Where nothing differs but who owns what.
const OWNERS: Says = Changes(&["metadata.managedFields"]);

/// All cases.
fn all() -> Vec<&'static Case> {
    let tables = [
        values::QUANTITIES,
        values::NUMBERS,
        values::PORTS,
        values::DEFAULTS,
        values::VOID,
        shapes::LISTS,
        shapes::CUSTOM,
        shapes::SECRETS,
        shapes::OTHERS,
        shapes::TOLD,
        shapes::CLUSTER,
    ];
    tables.into_iter().flatten().collect()
}
