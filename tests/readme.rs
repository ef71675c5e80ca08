//! The README, held against the program.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use clap::CommandFactory;
use windlass::annotation::ANNOTATIONS;
use windlass::annotation::Annotation;
use windlass::settings::table;
use windlass::telemetry::METRICS;
use windlass::telemetry::Metric;

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The table of settings as it must stand in the README.
fn settings() -> String {
    let mut text = "| setting | default or example | what it is for |\n|---|---|---|\n".to_owned();
    for (key, default, comment) in table() {
        writeln!(text, "| `{key}` | `{default}` | {} |", comment.replace('|', "\\|").replace('<', "&lt;"))
            .unwrap();
    }
    text
}

#[test]
fn the_table_of_settings_is_that_of_the_embedded_file() {
    let readme = readme();
    let between =
        readme.split_once("<!-- settings -->\n").and_then(|(_, rest)| rest.split_once("<!-- /settings -->"));
    let (found, _) = between.expect("the README marks the table with comments");
    assert!(found.trim() == settings().trim(), "put this between the marks:\n{}", settings());
}

/// The table of numbers as it must stand in the README.
fn numbers() -> String {
    let mut text = "| number | kind | by | what it says |\n|---|---|---|---|\n".to_owned();
    for Metric { name, kind, labels, text: says } in METRICS {
        let kind = format!("{kind:?}").to_lowercase();
        writeln!(text, "| `{name}` | {kind} | {} | {says} |", labels.join(", ")).unwrap();
    }
    text
}

#[test]
fn the_table_of_numbers_is_what_the_program_keeps() {
    let readme = readme();
    let between =
        readme.split_once("<!-- metrics -->\n").and_then(|(_, rest)| rest.split_once("<!-- /metrics -->"));
    let (found, _) = between.expect("the README marks the table with comments");
    assert!(found.trim() == numbers().trim(), "put this between the marks:\n{}", numbers());
}

/// The table of annotations as it must stand in the README.
fn annotations() -> String {
    let mut text =
        "| annotation | value | the same elsewhere | what it does |\n|---|---|---|---|\n".to_owned();
    for Annotation { key, value, alike, says, .. } in ANNOTATIONS {
        let alike: Vec<String> = alike.iter().map(|(key, value)| format!("`{key}: {value}`")).collect();
        writeln!(text, "| `{key}` | `{value}` | {} | {says} |", alike.join(", ")).unwrap();
    }
    text
}

#[test]
fn the_table_of_annotations_is_what_the_program_reads() {
    let readme = readme();
    let between = readme
        .split_once("<!-- annotations -->\n")
        .and_then(|(_, rest)| rest.split_once("<!-- /annotations -->"));
    let (found, _) = between.expect("the README marks the table with comments");
    assert!(found.trim() == annotations().trim(), "put this between the marks:\n{}", annotations());
}

#[test]
fn the_files_that_it_names_are_there() {
    let readme = readme();
    for file in [
        "scripts/demo",
        "scripts/test",
        "scripts/bed",
        "scripts/bench",
        "scripts/fuzz",
        "src/lib.rs",
        "tests/bed/README.md",
    ] {
        assert!(readme.contains(file), "{file} is named");
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists(), "{file} is there");
    }
}

/// Returns the commands below one that a person may be told of, each with its whole name, and the one itself where it is
/// one.
fn commands(command: &clap::Command, path: &[&str]) -> Vec<String> {
    let path = [path, &[command.get_name()]].concat();
    let below = command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help");
    let mut all: Vec<String> = below.flat_map(|one| commands(one, &path)).collect();
    if !command.is_subcommand_required_set() {
        all.push(path.join(" "));
    }
    all
}

#[test]
fn the_table_of_commands_is_what_the_program_has() {
    let readme = readme();
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `windlass ")?.split_once('`'));
    // A table of roles begins its rows like that, too.
    let (_, table) = readme.split_once("## Commands\n").unwrap();
    let (table, _) = table.split_once("\n\n**").unwrap();
    let there: BTreeSet<String> = commands(&windlass::cli::Arguments::command(), &[]).into_iter().collect();
    let said = |row: &str| {
        let words =
            row.split(' ').take_while(|word| word.starts_with(|letter: char| letter.is_ascii_lowercase()));
        format!("windlass {}", words.collect::<Vec<_>>().join(" "))
    };
    for (row, _) in rows {
        assert!(there.contains(&said(row)), "{} is no command", said(row));
    }
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `windlass ")?.split_once('`'));
    let told: BTreeSet<String> = rows.map(|(row, _)| said(row)).collect();
    let missing: Vec<_> = there.difference(&told).collect();
    assert!(missing.is_empty(), "the README's table of commands lacks {missing:?}");
}

#[test]
fn its_settings_file_is_a_valid_one() {
    let readme = readme();
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (file, _) = rest.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("windlass.toml");
    std::fs::write(&path, file).unwrap();
    for secret in ["hook-secret", "forge-token"] {
        std::fs::write(folder.path().join(secret), "0123456789abcdef0123456789abcdef").unwrap();
    }
    std::fs::write(folder.path().join("east.kubeconfig"), "").unwrap();
    let loaded = windlass::settings::Settings::load(
        Some(&path),
        &std::collections::BTreeMap::new(),
        &windlass::role::Part::whole(),
    );
    assert!(loaded.is_ok(), "{loaded:?}");
}
