//! What the numbers of whole repositories should be, and whether they are.

use serde_json::Value;

use crate::say;

/// A goal: of which row, for how many applications or objects, where in its numbers, and what they should be at most; or at
/// least, where more is better.
struct Goal {
    what: &'static str,
    number: usize,
    at: &'static str,
    says: &'static str,
    bound: Bound,
}

enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

const fn goal(what: &'static str, number: usize, at: &'static str, says: &'static str, bound: Bound) -> Goal {
    Goal { what, number, at, says, bound }
}

const SECONDS: &str = "/seconds";
const REQUESTS: &str = "/requests";
const FLOOR: &str = "/ratio_to_floor";
const FLUX: &str = "/flux/ratio_to_windlass";
const KIB: &str = "/kib";

const GOALS: &[Goal] = &[
    goal("all changed", 300, SECONDS, "seconds", Bound::AtMost(8.0)),
    goal("all changed", 300, FLOOR, "× floor", Bound::AtMost(1.5)),
    goal("all changed", 300, FLUX, "× faster than Flux", Bound::AtLeast(20.0)),
    goal("first", 1000, SECONDS, "seconds", Bound::AtMost(25.0)),
    goal("first", 1000, FLOOR, "× floor", Bound::AtMost(1.5)),
    goal("first", 1000, FLUX, "× faster than Flux", Bound::AtLeast(20.0)),
    goal("one changed", 100, SECONDS, "seconds", Bound::AtMost(0.2)),
    // As many as one application costs by itself: none is for the other 99.
    goal("one changed", 100, REQUESTS, "requests", Bound::AtMost(20.0)),
    goal("objects: first", 1500, SECONDS, "seconds", Bound::AtMost(5.0)),
    goal("objects: unchanged", 1500, SECONDS, "seconds", Bound::AtMost(0.5)),
    goal("objects: unchanged", 1500, REQUESTS, "requests", Bound::AtMost(20.0)),
    goal("objects: after a restart", 1500, REQUESTS, "requests", Bound::AtMost(40.0)),
    goal("drift healed", 1500, "/times/p50_ms", "ms, p50", Bound::AtMost(1000.0)),
    goal("peak memory", 300, KIB, "KiB", Bound::AtMost(64.0 * 1024.0)),
    goal("peak memory", 1000, KIB, "KiB", Bound::AtMost(96.0 * 1024.0)),
];

/// Prints each goal that was measured, and whether it is met.
pub fn tell(rows: &[Value]) {
    say("\ngoal");
    for Goal { what, number, at, says, bound } in GOALS {
        let row = rows.iter().find(|row| row["what"] == *what && row["number"] == *number);
        let Some(found) = row.and_then(|row| row.pointer(at)?.as_f64()) else { continue };
        let (met, words) = match bound {
            Bound::AtMost(most) => (found <= *most, format!("at most {most}")),
            Bound::AtLeast(least) => (found >= *least, format!("at least {least}")),
        };
        let verdict = if met { "met" } else { "missed" };
        say(&format!("  {what:<26}{number:>7}  {verdict:<7} {found:>10.2} {says}, {words}"));
    }
}
