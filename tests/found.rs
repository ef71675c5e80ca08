//! What was found by fuzzing, and where fuzzing starts: every kept input goes through its target again. See
//! `scripts/fuzz`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::path::PathBuf;

#[path = "fuzz/targets/mod.rs"]
mod targets;

/// The kept inputs of a target: where fuzzing starts, and what it found.
fn inputs(folder: &str, target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(folder).join(target);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut inputs: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    inputs.sort();
    inputs
}

#[test]
fn every_input_that_was_kept_is_read_as_it_must_be() {
    for (name, target) in targets::TARGETS {
        let seeds = inputs("seeds", name);
        assert!(!seeds.is_empty(), "{name} has nothing to start from");
        for (path, input) in seeds.iter().chain(&inputs("found", name)) {
            eprintln!("{}", path.display());
            target(input);
        }
    }
}

#[test]
fn every_start_of_every_seed_is_read_as_it_must_be() {
    for (name, target) in targets::TARGETS {
        for (path, input) in inputs("seeds", name) {
            eprintln!("{}", path.display());
            for end in 0..input.len() {
                target(&input[..end]);
            }
        }
    }
}

#[test]
fn every_folder_of_inputs_belongs_to_a_target() {
    for folder in ["seeds", "found"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(folder);
        for entry in fs::read_dir(path).into_iter().flatten() {
            let found = entry.unwrap().file_name().into_string().unwrap();
            assert!(targets::TARGETS.iter().any(|(name, _)| *name == found), "{folder}/{found}");
        }
    }
}

/// The modules that a file declares.
fn modules(text: &str) -> Vec<&str> {
    let names = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}

#[test]
fn the_fuzzer_is_built_from_all_words_and_rules() {
    let crate_root = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).unwrap();
    let (pure, _) = crate_root.split_once("// Floor 2").unwrap();
    let fuzzed = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/pure.rs")).unwrap();
    assert!(!modules(pure).is_empty());
    assert_eq!(modules(&fuzzed), modules(pure), "list them in tests/fuzz/pure.rs");
}

#[test]
fn the_fuzzer_finds_the_parts_of_modules() {
    // Of a file that is named by its path, the parts are looked for beside it, and so in its folder only where it lies
    // there too.
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let fuzzed = fs::read_to_string(root.join("tests/fuzz/pure.rs")).unwrap();
    let paths = fuzzed.lines().filter_map(|line| line.strip_prefix("#[path = \"../../")?.strip_suffix("\"]"));
    for path in paths.filter(|path| !path.ends_with("/mod.rs")) {
        let text = fs::read_to_string(root.join(path)).unwrap();
        let part = |line: &&str| line.starts_with("mod ") && line.ends_with(';') && *line != "mod tests;";
        assert_eq!(text.lines().find(part), None, "make {path} the mod.rs of its folder");
    }
}
