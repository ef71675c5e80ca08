//! Where the material lies.

use std::path::PathBuf;

use serde_json::Value;

use crate::world::bed;

/// Returns the path of a file or folder of the material.
pub fn at(path: &str) -> PathBuf {
    let found = PathBuf::from(bed("WINDLASS_BED_MATERIAL")).join(path);
    assert!(found.exists(), "the test material has no {}: run scripts/bed up", found.display());
    found
}

/// Returns the bytes of a file of the material.
pub fn bytes(path: &str) -> Vec<u8> {
    std::fs::read(at(path)).unwrap()
}

/// Returns the text of a file of the material.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(at(path)).unwrap()
}

/// Returns a JSON file of the material.
pub fn json(path: &str) -> Value {
    serde_json::from_slice(&bytes(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the paths of all files below a folder of the material whose names end so, in order, from the shelf on.
pub fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut folders = vec![at(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                let path = path.strip_prefix(bed("WINDLASS_BED_MATERIAL")).unwrap();
                files.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// Compares a table with the one that is expected.
#[track_caller]
pub fn same(what: &str, found: &[String], expected: &str) {
    let found = found.join("\n");
    assert!(found.trim() == expected.trim(), "{what}. If this is right, put it in the test:\n{found}\n");
}
