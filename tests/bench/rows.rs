//! The table of whole repositories, row by row: what windlass costs, the floor, and Flux, where it was measured beside.

use serde_json::Value;
use serde_json::json;

use crate::say;
use crate::scene::Cost;

/// The most memory that was held at once.
const MEMORY: &str = "peak resident memory";

/// A row of the table.
pub struct Row {
    what: String,
    /// The seconds of windlass, where the row is about a push.
    seconds: Option<f64>,
    text: String,
    json: Value,
}

/// What Flux costs: its pushes by the names of their rows, and the most memory that it held, in KiB.
pub struct Theirs {
    pub costs: Vec<(&'static str, Cost)>,
    pub peak: u64,
}

/// Prints the head of the table.
pub fn head(flux: bool) {
    let windlass = format!(
        "{:<26}{:>7}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "", "number", "seconds", "requests", "cpu s", "floor s", "× floor"
    );
    let beside = format!("{:>10}{:>12}{:>10}{:>10}", "flux s", "× windlass", "flux req", "flux cpu");
    say(&if flux { windlass + &beside } else { windlass });
}

/// Returns the row of a push.
pub fn push(what: &str, number: usize, cost: Cost, floor: Option<f64>) -> Row {
    let number_text =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    let Cost { seconds, requests, cpu } = cost;
    let ratio = floor.map(|floor| seconds / floor);
    let text = format!(
        "{what:<26}{number:>7}{seconds:>10.2}{requests:>10}{cpu:>10.2}{:>10}{:>10}",
        number_text(floor),
        number_text(ratio)
    );
    let json = json!({ "what": what, "number": number, "seconds": seconds,
        "requests": requests, "cpu_seconds": cpu, "floor_seconds": floor, "ratio_to_floor": ratio });
    Row { what: what.to_owned(), seconds: Some(seconds), text, json }
}

/// Returns the row of the most memory that windlass held at once, in KiB.
pub fn peak(number: usize, kib: u64) -> Row {
    let text = format!("{MEMORY:<26}{number:>7}{:>10.1} MiB", mebibytes(kib));
    let json = json!({ "what": "peak memory", "number": number, "kib": kib });
    Row { what: MEMORY.to_owned(), seconds: None, text, json }
}

/// Returns a row of another kind.
pub fn other(text: String, json: Value) -> Row {
    Row { what: String::new(), seconds: None, text, json }
}

/// Writes beside the rows what Flux costs.
pub fn beside(rows: &mut [Row], theirs: &Theirs) {
    for row in rows {
        let theirs_too = theirs.costs.iter().find(|(what, _)| *what == row.what);
        if let (Some(seconds), Some((_, cost))) = (row.seconds, theirs_too) {
            let ratio = cost.seconds / seconds;
            row.text +=
                &format!("{:>10.2}{ratio:>12.2}{:>10}{:>10.2}", cost.seconds, cost.requests, cost.cpu);
            row.json["flux"] = json!({ "seconds": cost.seconds, "ratio_to_windlass": ratio,
                "requests": cost.requests, "cpu_seconds": cost.cpu });
        } else if row.what == MEMORY {
            row.text += &format!("; Flux {:.1} MiB", mebibytes(theirs.peak));
            row.json["flux"] = json!({ "kib": theirs.peak });
        }
    }
}

/// Prints rows, and returns their numbers.
pub fn told(rows: Vec<Row>) -> Vec<Value> {
    let told = rows.into_iter().map(|row| {
        say(&row.text);
        row.json
    });
    told.collect()
}

fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
