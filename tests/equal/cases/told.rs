//! Each case is put to the server, and what it says is held against the table and against what windlass says.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;
use windlass::application::Conflicts;
use windlass::drift;
use windlass::drift::Foretold;
use windlass::manifest;
use windlass::manifest::Text;
use windlass::object::Live;
use windlass::object::Manifest;

use super::Case;
use super::Others;
use super::Says;
use super::all;
use crate::MANAGER;
use crate::Scene;
use crate::TRIES;
use crate::collection;

/// Returns each case in which the server or windlass says something else than the table.
pub async fn tell(scene: &Scene) -> Vec<String> {
    let (mut wrong, mut tally) = (Vec::new(), BTreeMap::<String, Vec<&str>>::new());
    for (number, case) in all().into_iter().enumerate() {
        match scene.judge(case, &format!("case-{number}")).await {
            Ok(verdict) => tally.entry(verdict).or_default().push(case.name),
            Err(why) => wrong.push(format!("{}: {why}", case.name)),
        }
    }
    let counts: Vec<String> =
        tally.iter().map(|(verdict, cases)| format!("{verdict} {}", cases.len())).collect();
    eprintln!("{} cases: {}", all().len(), counts.join(", "));
    for verdict in tally.keys().filter(|verdict| verdict.starts_with("asked")) {
        eprintln!("{verdict}: {}", tally[verdict].join("; "));
    }
    wrong
}

impl Scene {
    /// Returns what is said of a case by both, or how that differs from the table.
    async fn judge(&self, case: &Case, name: &str) -> Result<String, String> {
        let first = self.read(case, case.applied, name).map_err(|why| format!("as applied, it {why}"))?;
        self.prepare(case, &first).await.map_err(|why| format!("cannot be made: {why}"))?;
        let declared = match self.read(case, case.declared, name) {
            Ok(declared) => declared,
            Err(why) => {
                let expected = matches!(case.says, Says::Unread(words) if why.contains(words));
                return if expected { Ok("unread".to_owned()) } else { Err(why) };
            }
        };
        let (live, dry) = self.at_rest(&declared).await;
        let same = first.value == declared.value;
        let known = drift::is_as_declared(&live.value, &declared.value, MANAGER, same);
        let foretold = [Some(MANAGER), None].map(|by| drift::foretell(&live.value, &declared.value, by));
        self.take_away(&first).await;
        verdict(case.says, &dry, known, &foretold)
            .map_err(|why| format!("{why}\n  live {}\n  manifest {}", live.value, declared.value))
    }

    /// Returns the live object and what the dry-run of a manifest would change of it, once nobody writes in between: a
    /// Deployment's controller does, soon after.
    async fn at_rest(&self, declared: &Manifest) -> (Live, Result<Vec<String>, String>) {
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        for _ in 0..TRIES {
            let live = self.live(declared).await.expect("it was applied");
            match self.cluster.dry_run(&self.kinds, MANAGER, declared, Conflicts::Take).await {
                Ok(merged) if version(&merged) != version(&live.value) => {}
                Ok(merged) => {
                    let mut fields = drift::between(&live.value, &merged, MANAGER);
                    fields.sort();
                    return (live, Ok(fields));
                }
                Err(error) => return (live, Err(error.to_string())),
            }
        }
        panic!("{} is never at rest", declared.id)
    }

    /// Reads a text of a case as a pass reads a file.
    fn read(&self, case: &Case, body: &str, name: &str) -> Result<Manifest, String> {
        let text = self.text(case, body, name);
        let file = Text { file: "case.yaml", bytes: text.as_bytes() };
        let told = |problems: Vec<windlass::outcome::Problem>| problems[0].message.clone();
        let read = manifest::read(&[file]).map_err(told)?;
        let scope = |api_version: &str, kind: &str| self.kinds.scope(api_version, kind);
        let mut settled = manifest::settle(read, &self.namespace, &scope).map_err(told)?;
        Ok(settled.pop().expect("a case has an object"))
    }

    fn text(&self, case: &Case, body: &str, name: &str) -> String {
        let text = case.frame.replace("BODY", body).replace("NAMESPACE", &self.namespace);
        text.replace("NAME", name).replace("GROUP", &collection::group(&self.namespace))
    }

    /// Makes the live object what the case says: windlass applied it, and then others did something.
    async fn prepare(&self, case: &Case, first: &Manifest) -> Result<(), String> {
        let path = collection::path(first);
        if let Others::Created(text) = case.others {
            let mut object: Value = serde_json::from_str(text).unwrap();
            object["apiVersion"] = json!(first.api_version);
            object["kind"] = json!(first.id.kind);
            object["metadata"]["name"] = json!(first.id.name);
            let (folder, _) = path.rsplit_once('/').unwrap();
            self.ask("POST", &format!("{folder}?fieldManager=kubectl-client-side-apply"), JSON, &object)
                .await?;
        }
        self.put(MANAGER, first).await?;
        match case.others {
            Others::Nothing | Others::Created(_) => {}
            Others::Patch(text) => {
                let patch = serde_json::from_str(text).unwrap();
                self.ask("PATCH", &format!("{path}?fieldManager=others"), MERGE, &patch).await?;
            }
            Others::Apply(body) => {
                self.put("others", &self.read(case, body, &first.id.name)?).await?;
            }
        }
        Ok(())
    }

    async fn put(&self, manager: &str, manifest: &Manifest) -> Result<(), String> {
        let written = self.cluster.apply(&self.kinds, (manager, Conflicts::Take), manifest, None, "").await;
        written.map(drop).map_err(|error| error.to_string())
    }

    async fn ask(&self, method: &str, path: &str, kind: &str, body: &Value) -> Result<(), String> {
        let answer = self.kube.ask(method, path, kind, body).await;
        answer.map(drop).map_err(|(code, words)| format!("{method} {path}: {code} {words}"))
    }

    async fn take_away(&self, first: &Manifest) {
        let path = collection::path(first);
        // Nobody else lets go of what a case holds.
        let freed = json!({ "metadata": { "finalizers": null } });
        self.ask("PATCH", &path, MERGE, &freed).await.unwrap();
        self.kube.delete(&path).await;
    }
}

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";

/// Holds what the server and windlass say against the table, and names what was said.
fn verdict(
    says: Says,
    dry: &Result<Vec<String>, String>,
    known: bool,
    foretold: &[Foretold],
) -> Result<String, String> {
    let story =
        || format!("the table has {says:?}, the server says {dry:?}, windlass {known} and {foretold:?}");
    let sorted = |fields: &[&str]| {
        let mut fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        fields.sort();
        fields
    };
    let as_told = match (says, dry) {
        (Says::Same | Says::Asked, Ok(fields)) => fields.is_empty(),
        (Says::Changes(expected), Ok(fields)) => *fields == sorted(expected),
        (Says::Refuses(words), Err(why)) => why.contains(words),
        _ => false,
    };
    // What it only knows where the manifest is the one applied last, a foretelling does not know.
    let claims_same = known || foretold.contains(&Foretold::Unchanged);
    let claims_other = foretold.iter().any(|one| matches!(one, Foretold::Changed(_)));
    let is_same = matches!(dry, Ok(fields) if fields.is_empty());
    let lies = (claims_same && !is_same) || (claims_other && is_same);
    if !as_told || lies || known != (says == Says::Same) {
        return Err(story());
    }
    Ok(match says {
        Says::Same => "known as unchanged",
        Says::Asked => "asked, and unchanged",
        Says::Changes(_) if claims_other => "known as changed",
        Says::Changes(_) => "asked, and changed",
        Says::Refuses(_) if claims_other => "refused, and foretold as changed",
        Says::Refuses(_) => "refused",
        Says::Unread(_) => "unread",
    }
    .to_owned())
}
