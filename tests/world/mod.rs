//! What tests share: the bed with its real servers, and what they need to speak to them.

pub mod git;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

static BED: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache/windlass-bed");
    let bed = std::env::var_os("WINDLASS_BED").map_or_else(home, PathBuf::from);
    let text = std::fs::read_to_string(bed.join("run/env")).expect("the bed is not up: run scripts/bed up");
    text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
});

/// Returns what the bed says about one of its parts, such as `WINDLASS_BED_GITEA_URL`.
#[track_caller]
pub fn bed(key: &str) -> &'static str {
    BED.get(key).map_or_else(|| panic!("the bed knows no {key}: run scripts/bed up"), String::as_str)
}
