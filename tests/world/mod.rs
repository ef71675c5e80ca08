//! What tests share: the bed with its real servers, and what they need to speak to them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]
#![allow(dead_code, reason = "no test uses all of it")]

pub mod broker;
pub mod chance;
pub mod crew;
pub mod database;
pub mod door;
pub mod ending;
pub mod git;
pub mod journal;
pub mod kube;
pub mod manifests;
pub mod patrol;
pub mod plan;
pub mod process;
pub mod proxy;
pub mod settling;
pub mod setup;
pub mod signing;
pub mod steps;
pub mod toxic;
pub mod windlass;
pub mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

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

/// As [`bed`], of a part that somebody else's server may stand in for.
pub fn bed_or_none(key: &str) -> Option<&'static str> {
    BED.get(key).map(String::as_str)
}

/// How long may something take that a test waits for?
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long between two looks at what gives no sign by itself?
pub const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks again and again until there is something, for a minute at most, and returns it. For far sides that give no
/// sign by themselves; whatever can be awaited is awaited.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "within {} s: {what}", PATIENCE.as_secs());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Returns a short text that no other test has.
pub fn unique() -> String {
    // The end of such an id is random.
    uuid::Uuid::now_v7().simple().to_string().split_off(20)
}
