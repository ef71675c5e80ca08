//! The shape of the crate, as tests: a module may use only the floors below its own, each outside crate has one
//! home, words and rules stay pure, and files and functions stay short enough to see.
//!
//! It is a text scan over `src/`, which is why imports are written one per line. Test code inside `src` is free.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

mod scan;

/// The floors, lowest first. A module in a folder stands on the floor of the folder.
const FLOORS: &[&[&str]] = &[
    // Words are made of words: each may use those before it, so there is no circle here either.
    &[
        "commit",
        "fault",
        "moment",
        "object",
        "secret",
        "trace",
        "reference",
        "ignore",
        "application",
        "pause",
        "role",
        "member",
        "annotation",
        "event",
        "explanation",
        "outcome",
        "job",
    ],
    &[
        "applyset", "breaker", "bucket", "drift", "forge", "guard", "health", "lanes", "ledger", "manifest",
        "mask", "phrase", "plan", "select", "signer", "takeover", "window",
    ],
    &["dial", "trail"],
    &["clock", "cluster", "courier", "queue", "source", "store"],
    &["dispatch", "intake", "letters", "opening", "patrol", "reconcile", "recover", "report", "sweep"],
    &["cli", "control", "server", "worker"],
    &["reload", "settings", "telemetry"],
    &["line"],
    // The root of the program and the list of modules name everything.
    &["lib", "main", "print", "run"],
];

/// The highest floor without I/O, clocks, logs and `async`.
const PURE: usize = 1;

/// Each of these crates has one home. SQL has two, and so has HTTP: libgit2's own client would bring a second TLS.
const HOMES: &[(&str, &[&str])] = &[
    ("actix_web", &["server"]),
    ("anyhow", &["main", "print", "run"]),
    ("cel", &["health"]),
    ("clap", &["cli"]),
    ("git2", &["source"]),
    ("hmac", &["forge"]),
    ("http_body_util", &["cluster"]),
    ("hyper_timeout", &["cluster"]),
    ("hyper_util", &["cluster"]),
    ("ipnet", &["server"]),
    ("k8s_openapi", &["cluster"]),
    ("kube", &["cluster"]),
    ("lapin", &["queue"]),
    ("metrics_exporter_prometheus", &["telemetry"]),
    ("notify", &["reload"]),
    ("prost", &["telemetry"]),
    ("reqwest", &["courier", "dial", "source"]),
    ("ring", &["signer"]),
    ("rustls", &["courier", "source"]),
    ("semver", &["reference"]),
    ("serde_saphyr", &["manifest"]),
    ("sqlx", &["queue", "store"]),
    ("toml", &["settings"]),
    ("tower", &["cluster"]),
    ("tracing_subscriber", &["telemetry"]),
];

/// What pure floors may not say.
const IMPURE: &[&str] = &[
    "async fn",
    "async move",
    ".await",
    "tokio",
    "tracing",
    "metrics",
    // The rules of time zones are values, as long as they are those that are built in.
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::get",
    "TimeZone::system",
    "TimeZoneDatabase::from",
    "tz::db",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::SystemTime",
];

/// How many lines may a file have, tests included?
const FILE_LINES: usize = 400;
/// How many lines may the body of a function have?
const FUNCTION_LINES: usize = 60;

struct File {
    path: PathBuf,
    module: String,
    /// Is this the file that the root of the crate names, where `super` is the crate?
    top: bool,
    text: String,
}

impl File {
    fn production(&self) -> String {
        // A file called tests is a test module that was moved out, and free as one.
        if self.path.ends_with("tests.rs") { String::new() } else { scan::production(&self.text) }
    }
}

fn sources() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let inner = path.strip_prefix(&root).unwrap().to_path_buf();
                let module = scan::module_of(&inner);
                let text = fs::read_to_string(&path).unwrap();
                let top = inner.components().count() == 1 || inner.ends_with("mod.rs");
                files.push(File { path: inner, module, top, text });
            }
        }
    }
    assert!(files.len() > 5, "the scan must see the sources");
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn floor(module: &str) -> usize {
    FLOORS
        .iter()
        .position(|floor| floor.contains(&module))
        .unwrap_or_else(|| panic!("`{module}` stands on no floor: list it in tests/architecture.rs"))
}

/// May one module use another?
fn below(used: &str, module: &str) -> bool {
    let words = FLOORS[0];
    let place = |name| words.iter().position(|word| *word == name);
    floor(used) < floor(module) || matches!((place(used), place(module)), (Some(a), Some(b)) if a < b)
}

/// Says everything that is wrong at once.
fn expect_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn modules_use_only_the_floors_below() {
    let mut wrong = Vec::new();
    for file in sources() {
        for used in scan::crate_paths(&file.production()) {
            if used != file.module && !below(&used, &file.module) {
                wrong.push(format!(
                    "src/{}: {} (floor {}) uses crate::{used} (floor {})",
                    file.path.display(),
                    file.module,
                    floor(&file.module),
                    floor(&used),
                ));
            }
        }
    }
    expect_none(&wrong);
}

#[test]
fn every_module_stands_on_a_floor() {
    for module in sources().into_iter().map(|file| file.module).collect::<BTreeSet<_>>() {
        floor(&module);
    }
}

#[test]
fn every_outside_crate_has_one_home() {
    let mut wrong = Vec::new();
    for file in sources() {
        let code = file.production();
        for (name, homes) in HOMES {
            if !homes.contains(&file.module.as_str()) && scan::names_crate(&code, name) {
                wrong.push(format!("src/{}: {name} is at home in {homes:?}", file.path.display()));
            }
        }
    }
    expect_none(&wrong);
}

#[test]
fn words_and_rules_stay_pure() {
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| floor(&file.module) <= PURE) {
        let code = file.production();
        for what in IMPURE.iter().filter(|what| scan::says(&code, what)) {
            wrong.push(format!("src/{}: `{what}` on floor {}", file.path.display(), floor(&file.module)));
        }
    }
    expect_none(&wrong);
}

#[test]
fn imports_name_one_thing_a_line() {
    let mut wrong = Vec::new();
    for file in sources() {
        for complaint in scan::imports(&file.production(), &file.module, file.top) {
            wrong.push(format!("src/{}: {complaint}", file.path.display()));
        }
    }
    expect_none(&wrong);
}

/// While processes are replaced one after the other, a newer one adds columns under statements that older ones have
/// prepared: Postgres refuses those whose columns are "all of them" from then on.
#[test]
fn statements_name_their_columns() {
    let all = ["SELECT", "*"].join(" ");
    let wrong = sources().into_iter().filter(|file| file.text.contains(&all));
    expect_none(&wrong.map(|file| format!("src/{}: {all}", file.path.display())).collect::<Vec<_>>());
}

#[test]
fn files_and_functions_stay_short() {
    let mut wrong = Vec::new();
    for file in sources() {
        let lines = file.text.lines().count();
        if lines > FILE_LINES {
            wrong.push(format!("src/{}: {lines} lines, at most {FILE_LINES}", file.path.display()));
        }
        for (name, lines) in scan::functions(&file.text) {
            if lines > FUNCTION_LINES {
                wrong.push(format!("src/{}: fn {name} has {lines} lines", file.path.display()));
            }
        }
    }
    expect_none(&wrong);
}
