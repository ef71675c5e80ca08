//! Reads the words that wait in the queue and the store: what can be read is written and read again as the same.
//!
//! The first line of an input names the word, the rest is its JSON.

use std::fmt::Debug;

use serde_json::Value;
use windlass::event::Event;
use windlass::job::Job;
use windlass::job::Watch;
use windlass::ledger::Row;
use windlass::ledger::advance;
use windlass::outcome::Report;
use windlass::outcome::Told;
use windlass::phrase;
use windlass::select::Memory;

use super::expect_words;
use super::line;

/// Reads any text as a word.
pub fn run(input: &[u8]) {
    let (word, json) = line(input);
    let Ok(json) = std::str::from_utf8(json) else { return };
    match word {
        b"event" => drop(same::<Event>(json)),
        b"job" => drop(same::<Job>(json).map(|job| job_is_usable(&job))),
        b"watch" => drop(same::<Watch>(json)),
        b"report" => drop(same::<Report>(json).map(|report| report_is_usable(&report))),
        b"row" => drop(same::<Row>(json).map(row_is_usable)),
        b"memory" => drop(same::<Memory>(json)),
        _ => {}
    }
}

/// Reads a word as the queue does, by way of a value, and as the store does, straight.
fn same<T>(json: &str) -> Option<T>
where
    T: serde::de::DeserializeOwned + serde::Serialize + PartialEq + Debug,
{
    let value: Value = serde_json::from_str(json).ok()?;
    let read: T = serde_json::from_value(value).ok()?;
    let written = serde_json::to_string(&read).expect("a word can be written");
    assert_eq!(serde_json::from_str::<T>(&written).expect("what was written can be read"), read);
    if let Ok(straight) = serde_json::from_str::<T>(json) {
        assert_eq!(straight, read);
    }
    Some(read)
}

fn job_is_usable(job: &Job) {
    for cluster in &job.application.clusters {
        drop((job.application.path_in(cluster), job.application.namespace_in(cluster)));
    }
    assert_eq!(job.application.targets().count(), job.application.clusters.len());
}

fn report_is_usable(report: &Report) {
    if let Told::Run(progress) = &report.what {
        row_is_usable(Row::told(progress, 1));
    }
}

/// Phrases a row, and moves it by itself.
fn row_is_usable(row: Row) {
    let facts = phrase::Facts {
        phase: row.phase,
        tally: &row.tally,
        problem: row.problem.as_ref(),
        others: row.others,
        by: row.by.as_ref(),
        took_ms: row.took_ms,
        rollback: row.rollback.as_ref(),
    };
    expect_words(&phrase::target(&facts), 500);
    let same = advance(Some(row.clone()), row.clone());
    assert_eq!(same, row);
}
