//! `windlass diff --offline`: what applying manifests would do to live objects, both in files.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use serde_json::Value;
use serde_json::json;
use windlass::annotation::Wish;
use windlass::cli::Diff as Asked;
use windlass::drift;
use windlass::drift::Difference;
use windlass::drift::Foretold;
use windlass::ignore::IgnoreRule;
use windlass::manifest;
use windlass::manifest::Text;
use windlass::member;
use windlass::object::Live;
use windlass::object::Manifest;
use windlass::object::ObjectId;
use windlass::outcome::Problem;
use windlass::plan;
use windlass::role::Part;

use super::complain;
use super::files;
use super::load;
use super::out;
use super::read::standard_input;
use super::scope;

/// The exit code where nothing could be said.
const UNSAID: u8 = 3;

/// How many characters of a value are printed?
const VALUE_CHARACTERS: usize = 60;

/// What stands in the place of the value of a Secret.
const MASK: &str = "***";

/// Prints what would become of each manifest; ends with 0 where nothing would be changed, 1 where only a dry-run can tell
/// of some, 2 where some would be changed or created.
pub fn diff(asked: &Asked) -> ExitCode {
    compare(asked).unwrap_or_else(|error| {
        complain(&format!("failed to {error:#}"));
        ExitCode::from(UNSAID)
    })
}

/// What would become of one object.
enum Verdict {
    Unchanged(&'static str),
    Kept(String),
    Undecided(Vec<Difference>, &'static str),
    Changed(Vec<Difference>, &'static str),
    Absent,
}

fn compare(asked: &Asked) -> anyhow::Result<ExitCode> {
    if asked.live == Path::new("-") && asked.manifest == Path::new("-") {
        bail!("read standard input twice: give LIVE or MANIFEST as a file");
    }
    let rules = rules(asked)?;
    let live = read(&asked.live, manifest::objects)?;
    let live: BTreeMap<ObjectId, Live> =
        live.into_iter().filter_map(Live::read).map(|live| (live.id.clone(), live)).collect();
    let settled = |texts: &[Text<'_>]| {
        manifest::read(texts).and_then(|all| manifest::settle(all, &asked.namespace, &scope))
    };
    let mut code = 0;
    for manifest in read(&asked.manifest, settled)? {
        let verdict = judge(asked, &rules, &manifest, live.get(&manifest.id));
        code = code.max(match verdict {
            Verdict::Unchanged(_) | Verdict::Kept(_) => 0,
            Verdict::Undecided(..) => 1,
            Verdict::Changed(..) | Verdict::Absent => 2,
        });
        out(&line(&manifest, &verdict, asked.json))?;
    }
    Ok(ExitCode::from(code))
}

/// Returns what the settings leave to others in the objects of the application.
fn rules(asked: &Asked) -> anyhow::Result<Vec<IgnoreRule>> {
    let (Some(file), Some(name)) = (&asked.config, &asked.application) else { return Ok(Vec::new()) };
    let Some(settings) = load(Some(file), &Part::steward())? else {
        bail!("read the settings: mend what is said above");
    };
    match settings.applications.into_iter().find(|one| one.name == *name) {
        Some(application) => Ok(application.ignore),
        None => bail!("find the application {name}: the settings have none of that name"),
    }
}

fn read<T>(path: &Path, rule: impl FnOnce(&[Text<'_>]) -> Result<T, Vec<Problem>>) -> anyhow::Result<T> {
    let files = if path == Path::new("-") {
        vec![("standard input".to_owned(), standard_input()?)]
    } else {
        files(path)?
    };
    let texts: Vec<_> = files.iter().map(|(file, bytes)| Text { file, bytes }).collect();
    match rule(&texts) {
        Ok(found) => Ok(found),
        Err(problems) => {
            problems.iter().for_each(|problem| complain(&problem.to_string()));
            bail!("read {}: mend what is said above", path.display());
        }
    }
}

fn judge(asked: &Asked, rules: &[IgnoreRule], manifest: &Manifest, live: Option<&Live>) -> Verdict {
    let mut wish = Wish::of(&manifest.value);
    wish.heed(rules, &manifest.id);
    if let Some(why) = plan::unwritten(&wish, live) {
        return Verdict::Kept(why);
    }
    if wish.is_made_anew() {
        return Verdict::Kept("it is a hook: each rollout makes it anew".to_owned());
    }
    let Some(live) = live else { return Verdict::Absent };
    if live.is_terminating() {
        return Verdict::Undecided(Vec::new(), "it is being deleted");
    }
    if plan::stays_as_created(&wish, live) {
        return Verdict::Unchanged("it is only to be created");
    }
    let own = asked.application.as_ref().map(member::manager);
    let manager = asked.manager.clone().or(own).or_else(|| applied_by(live));
    let Some(manager) = manager else {
        let why =
            "LIVE does not say what windlass applied: print it with --show-managed-fields, or give --manager";
        return match drift::foretell(&live.value, &manifest.value, None) {
            Foretold::Changed(fields) => Verdict::Changed(fields, ""),
            Foretold::Undecided(fields) => Verdict::Undecided(fields, why),
            Foretold::Unchanged => Verdict::Undecided(Vec::new(), why),
        };
    };
    let declared = labelled(&manifest.value, live, &manager);
    let body = drift::ceded(&declared, &live.value, &manager, &wish);
    match drift::foretell(&live.value, &body, Some(&manager)) {
        Foretold::Unchanged => Verdict::Unchanged(""),
        Foretold::Changed(fields) => Verdict::Changed(fields, ""),
        Foretold::Undecided(fields) => Verdict::Undecided(fields, "only the API server's dry-run can tell"),
    }
}

/// Returns the manager of the application of windlass that applied an object.
fn applied_by(live: &Live) -> Option<String> {
    let ours = |(name, operation): &(&str, &str)| name.starts_with(member::MANAGER) && *operation == "Apply";
    live.managers().find(ours).map(|(name, _)| name.to_owned())
}

/// Returns a manifest with the label that a pass gives it: that of the set that the object is in.
fn labelled(manifest: &Value, live: &Live, manager: &str) -> Value {
    let mut value = manifest.clone();
    let metadata = value.get_mut("metadata").and_then(Value::as_object_mut);
    if let (Some(metadata), true) = (metadata, manager.starts_with(member::MANAGER)) {
        let labels = metadata.entry("labels").or_insert_with(|| json!({}));
        if let (Some(labels), Some(set)) = (labels.as_object_mut(), live.label(member::PART_OF)) {
            labels.insert(member::PART_OF.to_owned(), json!(set));
        }
    }
    value
}

fn line(manifest: &Manifest, verdict: &Verdict, as_json: bool) -> String {
    let none = Vec::new();
    let (word, fields, why) = match verdict {
        Verdict::Unchanged(why) => ("unchanged", &none, *why),
        Verdict::Kept(why) => ("kept", &none, why.as_str()),
        Verdict::Undecided(fields, why) => ("undecided", fields, *why),
        Verdict::Changed(fields, why) => ("changed", fields, *why),
        Verdict::Absent => ("absent", &none, "not in LIVE: it would be created"),
    };
    let id = &manifest.id;
    let secret = id.group.is_empty() && id.kind == "Secret";
    if as_json {
        let shown = |value: &Option<Value>| match value {
            Some(_) if secret => json!(MASK),
            value => json!(value),
        };
        let fields = fields.iter().map(
            |one| json!({ "field": one.field, "live": shown(&one.live), "declared": shown(&one.declared) }),
        );
        let told = json!({ "api_version": manifest.api_version, "kind": id.kind, "namespace": id.namespace,
            "name": id.name, "diff": word, "fields": fields.collect::<Vec<_>>(), "why": why });
        return format!("{told}\n");
    }
    let fields: Vec<String> = fields.iter().map(|one| in_words(one, secret)).collect();
    let parts = [
        id.to_string(),
        word.to_owned(),
        fields.join(", "),
        if why.is_empty() || fields.is_empty() { why.to_owned() } else { format!("({why})") },
    ];
    format!("{}\n", parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" "))
}

/// Returns a difference as `spec.replicas 2 -> 3`.
fn in_words(one: &Difference, secret: bool) -> String {
    let shown = |value: &Option<Value>| match value {
        None => "nothing".to_owned(),
        Some(_) if secret => MASK.to_owned(),
        Some(value) => {
            let text = value.to_string();
            let short: String = text.chars().take(VALUE_CHARACTERS).collect();
            if short.len() < text.len() { format!("{short}…") } else { text }
        }
    };
    match (&one.live, &one.declared) {
        (None, None) => one.field.clone(),
        (live, declared) => format!("{} {} -> {}", one.field, shown(live), shown(declared)),
    }
}
