//! The commands that end by themselves: what they find out, and how it is shown.

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;
use windlass::application::Name;
use windlass::cli::History;
use windlass::cli::Knock;
use windlass::cli::Render;
use windlass::clock::now;
use windlass::commit::CommitId;
use windlass::commit::RefName;
use windlass::courier::Courier;
use windlass::event::Push;
use windlass::forge::Kind;
use windlass::manifest;
use windlass::moment::Moment;
use windlass::object::Scope;
use windlass::phrase::Facts;
use windlass::role::Part;
use windlass::secret::Secret;
use windlass::settings::Settings;
use windlass::store::Run;
use windlass::store::Sought;
use windlass::store::Store;

pub mod adopt;
pub mod dead;
pub mod delete;
pub mod deliveries;
pub mod diff;
pub mod drift;
pub mod explain;
pub mod health;
pub mod queue;
pub mod read;
pub mod rollback;
pub mod steer;
pub mod suggest;

/// How many files does `render` read at most?
const RENDER_FILES: usize = 10_000;

/// How large may a file be that `render` or `knock` reads, in bytes?
const FILE_BYTES: u64 = 25 << 20;

/// The exit code for settings or arguments that are wrong.
pub const WRONG: u8 = 2;

/// Says something on standard error; that it cannot be said is no reason to stop.
pub fn complain(message: &str) {
    let _unsaid = writeln!(std::io::stderr(), "windlass: {message}");
}

/// Loads the settings that a part of the line needs, or says all that is wrong with them.
pub fn load(config: Option<&Path>, part: &Part) -> anyhow::Result<Option<Settings>> {
    match Settings::load(config, &std::env::vars().collect(), part) {
        Ok(settings) => Ok(Some(settings)),
        Err(problems) => {
            problems.iter().for_each(|problem| complain(&problem.to_string()));
            complain("windlass config prints every setting with its default");
            Ok(None)
        }
    }
}

/// Prints to standard output; a reader that went away ends the program quietly.
///
/// What comes from outside may hold characters that lead a terminal: they become blanks.
pub fn out(text: &str) -> anyhow::Result<()> {
    let leads = |c: char| c.is_control() && !['\n', '\t'].contains(&c);
    let text: Cow<'_, str> = if text.contains(leads) { text.replace(leads, " ").into() } else { text.into() };
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("print"),
    }
}

/// Prints what a folder of manifests would apply, as a stream of JSON documents that YAML readers take too.
pub fn render(asked: &Render) -> anyhow::Result<ExitCode> {
    let files = files(&asked.path)?;
    let texts: Vec<_> = files.iter().map(|(name, bytes)| manifest::Text { file: name, bytes }).collect();
    // Offline only Kubernetes's own kinds are known; a custom resource keeps the namespace that it names, or none.
    let settled = manifest::read(&texts).and_then(|all| manifest::settle(all, &asked.namespace, &scope));
    match settled {
        Ok(manifests) => {
            for manifest in manifests {
                let body = serde_json::to_string_pretty(&manifest.value).context("print a manifest")?;
                out(&format!("--- # {}\n{body}\n", manifest.place))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            problems.iter().for_each(|problem| complain(&problem.to_string()));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Returns where objects of Kubernetes's own kinds live; a cluster knows more, but here is none.
fn scope(api_version: &str, kind: &str) -> Option<Scope> {
    let group = windlass::object::group_and_version(api_version).0;
    let own = !group.contains('.') || group.ends_with(".k8s.io");
    let cluster_wide = match group {
        "" => matches!(kind, "Namespace" | "Node" | "PersistentVolume"),
        "rbac.authorization.k8s.io" => kind.starts_with("Cluster"),
        "apiextensions.k8s.io" | "apiregistration.k8s.io" | "admissionregistration.k8s.io" => true,
        _ => kind.ends_with("Class") || kind == "CSIDriver",
    };
    own.then_some(if cluster_wide { Scope::Cluster } else { Scope::Namespaced })
}

fn files(folder: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    if folder.is_file() {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(vec![(name, bounded(folder)?)]);
    }
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(&at).with_context(|| format!("read the folder {}", at.display()))? {
            let entry = entry?;
            let (kind, name) = (entry.file_type()?, entry.file_name());
            let name = name.to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end)) {
                found.push(entry.path());
            }
            if found.len() + folders.len() > RENDER_FILES {
                bail!("read {}: it has more than {RENDER_FILES} files", folder.display());
            }
        }
    }
    found.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
        Ok((name, bounded(&path)?))
    };
    found.into_iter().map(read).collect()
}

fn bounded(path: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = path.display();
    let size = std::fs::metadata(path).with_context(|| format!("read {shown}"))?.len();
    if size > FILE_BYTES {
        bail!("read {shown}: it has {size} bytes, more than {FILE_BYTES}");
    }
    std::fs::read(path).with_context(|| format!("read {shown}"))
}

/// Prints the last runs.
pub async fn history(asked: &History) -> anyhow::Result<ExitCode> {
    let Some(settings) = load(asked.config.as_deref(), &Part::none())? else {
        return Ok(ExitCode::from(WRONG));
    };
    let sought = sought(asked)?;
    let runs = store_of(&settings).await?.runs(&sought, asked.limit).await?;
    if asked.json {
        runs.iter().try_for_each(|run| out(&format!("{}\n", as_json(run))))?;
    } else if runs.is_empty() {
        out("No runs.\n")?;
    } else {
        out(&format!(
            "{:<20}  {:<24}  {:<12}  {:<10}  WHAT HAPPENED\n",
            "WHEN", "TARGET", "COMMIT", "PHASE"
        ))?;
        runs.iter().try_for_each(|run| out(&as_line(run)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn sought(asked: &History) -> anyhow::Result<Sought> {
    let name = |text: &Option<String>| text.as_deref().map(Name::parse).transpose();
    if let Some(other) = asked.commit.as_ref().filter(|commit| !begins_a_commit(commit)) {
        bail!("read --commit: \"{other}\" is none: give its id, or at least 4 digits of its beginning");
    }
    Ok(Sought {
        application: name(&asked.application).context("read --application")?,
        cluster: name(&asked.cluster).context("read --cluster")?,
        commit: asked.commit.as_ref().map(|commit| commit.to_lowercase()),
        failed: asked.failed,
    })
}

/// Returns whether a text may be a commit, or its beginning as people give it.
fn begins_a_commit(text: &str) -> bool {
    (4..=64).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Opens the history that windlass has written with these settings.
async fn store_of(settings: &Settings) -> anyhow::Result<Store> {
    let path = windlass::line::store_path(&settings.data);
    if settings.store.url.is_none() && !path.exists() {
        bail!("read the history: {} is not there; has windlass run with these settings?", path.display());
    }
    windlass::line::store(settings).await?.context("open the history")
}

fn when(run: &Run) -> String {
    time(run.at)
}

/// Returns a moment as people and machines read it.
fn time(at: Moment) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}

fn as_line(run: &Run) -> String {
    let (target, commit) = (run.target.to_string(), run.commit.short());
    let mut line = format!(
        "{:<20}  {target:<24}  {commit:<12}  {:<10}  {}\n",
        when(run),
        run.phase.word(),
        in_words(run),
    );
    for problem in run.problems.iter().skip(1) {
        line.push_str(&format!("{:<76}{problem}\n", ""));
    }
    line
}

fn in_words(run: &Run) -> String {
    let others = u64::try_from(run.problems.len().saturating_sub(1)).unwrap_or(u64::MAX);
    windlass::phrase::target(&Facts {
        phase: run.phase,
        tally: &run.tally,
        problem: run.problems.first(),
        others,
        by: None,
        took_ms: Some(run.took_ms),
        rollback: run.rollback.as_ref(),
    })
}

fn as_json(run: &Run) -> serde_json::Value {
    serde_json::json!({
        "run": run.run, "at": when(run), "source": run.source, "target": run.target.to_string(),
        "commit": run.commit, "phase": run.phase, "tally": run.tally, "changes": run.changes,
        "problems": run.problems, "took_ms": run.took_ms, "rollback": run.rollback,
    })
}

/// Signs a delivery and posts it to a door.
pub async fn knock(asked: &Knock) -> anyhow::Result<ExitCode> {
    let kind = Kind::from_word(&asked.forge).context("read --forge")?;
    let secret = match (&asked.secret_file, &asked.secret_env) {
        (Some(file), _) => {
            std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?
        }
        (None, Some(name)) => std::env::var(name).with_context(|| format!("read the variable {name}"))?,
        (None, None) => bail!("find the secret: give --secret-file or --secret-env"),
    };
    let secret = Secret::new(&secret).context("take the secret")?;
    if let Err(why) = kind.rules().vet(&secret) {
        bail!("take the secret: it {why}");
    }
    let (event, body) = match (&asked.payload, &asked.event) {
        (Some(file), Some(event)) => {
            let text =
                String::from_utf8(bounded(file)?).with_context(|| format!("read {}", file.display()))?;
            (event.clone(), text)
        }
        _ => made_up(asked, kind)?,
    };
    let id = uuid::Uuid::now_v7().to_string();
    let headers = kind.rules().sign(&event, &id, body.as_bytes(), &secret, now());
    let (status, answer) = Courier::new()?.knock(&asked.url, &headers, body).await?;
    out(&format!("{status} {answer}\n"))?;
    Ok(if (200..300).contains(&status) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn made_up(asked: &Knock, kind: Kind) -> anyhow::Result<(String, String)> {
    let (Some(repository), Some(reference), Some(after)) =
        (&asked.repository, &asked.reference, &asked.after)
    else {
        bail!("make up a push: give --repository, --ref and --after");
    };
    let before = asked.before.as_deref().map(CommitId::parse_or_zero).transpose().context("read --before")?;
    let push = Push {
        repository: repository.clone(),
        reference: RefName::parse(reference).context("read --ref")?,
        before: before.flatten(),
        after: CommitId::parse_or_zero(after).context("read --after")?,
        forced: false,
    };
    let (event, body) = kind.rules().make_up(&push);
    Ok((event.to_owned(), body))
}
