//! The program that scripts/fuzz runs: libFuzzer around the target that the environment names.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

mod targets;

/// The variable that names the target.
const NAMED_BY: &str = "WINDLASS_FUZZ";

static TARGET: OnceLock<targets::Target> = OnceLock::new();

fn named() -> targets::Target {
    let name = std::env::var(NAMED_BY).unwrap_or_default();
    let found = targets::TARGETS.iter().find(|(known, _)| *known == name);
    let Some((_, target)) = found else {
        let known: Vec<&str> = targets::TARGETS.iter().map(|(known, _)| *known).collect();
        eprintln!("{NAMED_BY} names no target; there are {}", known.join(", "));
        std::process::exit(2);
    };
    *target
}

fuzz_target!(
    init: {
        let _ = TARGET.set(named());
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            target(data);
        }
    }
);
