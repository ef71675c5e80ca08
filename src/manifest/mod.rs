//! Manifests: from the text of files to the objects that they declare.
//!
//! In go files; out come manifests, or every problem of every file, each with its place. It follows what `kubectl` makes
//! of YAML, except where that hides mistakes: a key that is given twice is refused. No message repeats a value, since a
//! value may be secret.

use std::fmt;

use crate::object::Manifest;
use crate::object::Place;
use crate::outcome::Problem;

mod documents;
mod objects;
mod settle;
mod value;

pub use settle::settle;

/// How many problems are told? The rest is counted.
const PROBLEMS: usize = 100;
/// How many documents may one file have?
const DOCUMENTS: usize = 10_000;
/// How many bytes may one document have? An API server takes requests of up to 3 MiB.
const DOCUMENT_BYTES: usize = 3 << 20;
/// How many objects may all files declare together?
const OBJECTS: usize = 50_000;

/// A file as a commit holds it.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    /// Its path, relative to the application's; what ends in `.json` is read as JSON, everything else as YAML.
    pub file: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Text({}, {} bytes)", self.file, self.bytes.len())
    }
}

/// Reads every manifest of some files, in their order. Lists are taken apart; `status` and what only a server sets is
/// left out.
///
/// # Errors
/// Every problem of every file, up to 100; a problem's place has the line of the mistake where it is one of syntax, and
/// the line at which the document starts otherwise.
pub fn read(files: &[Text<'_>]) -> Result<Vec<Manifest>, Vec<Problem>> {
    let mut manifests = Vec::new();
    let mut problems = Problems::default();
    let budget = value::Budget::new();
    for text in files {
        documents::each(text, &budget, &mut |document| match document {
            Ok((place, value)) => objects::take(value, &place, &mut manifests, &mut problems),
            Err(problem) => problems.tell(problem),
        });
        if budget.is_spent() {
            break;
        }
        if manifests.len() > OBJECTS {
            let place = Place { file: text.file.to_owned(), document: 1, line: 1 };
            problems.tell(problem(
                &place,
                format!("brings the number of objects beyond {OBJECTS}; split the application"),
            ));
            break;
        }
    }
    problems.or(manifests)
}

/// Reads every object of some files as it stands there, with its status. Lists are taken apart.
///
/// # Errors
/// Every problem of every file, as [`read`] has them.
pub fn objects(files: &[Text<'_>]) -> Result<Vec<serde_json::Value>, Vec<Problem>> {
    let mut found = Vec::new();
    let mut problems = Problems::default();
    let budget = value::Budget::new();
    for text in files {
        documents::each(text, &budget, &mut |document| match document {
            Ok((place, value)) => objects::whole(value, &place, &mut found, &mut problems),
            Err(problem) => problems.tell(problem),
        });
        if budget.is_spent() {
            break;
        }
        if found.len() > OBJECTS {
            let place = Place { file: text.file.to_owned(), document: 1, line: 1 };
            problems.tell(problem(&place, format!("brings the number of objects beyond {OBJECTS}")));
            break;
        }
    }
    problems.or(found)
}

/// Problems, up to a bound.
#[derive(Default)]
struct Problems {
    told: Vec<Problem>,
    untold: usize,
}

impl Problems {
    fn tell(&mut self, problem: Problem) {
        if self.told.len() < PROBLEMS {
            self.told.push(problem);
        } else {
            self.untold += 1;
        }
    }

    fn or<T>(mut self, fine: T) -> Result<T, Vec<Problem>> {
        if self.untold > 0 {
            let message = format!("and {} more problems", self.untold);
            self.told.push(Problem { object: None, place: None, message });
        }
        if self.told.is_empty() { Ok(fine) } else { Err(self.told) }
    }
}

#[cfg(test)]
mod tests;

fn problem(place: &Place, message: impl Into<String>) -> Problem {
    Problem { object: None, place: Some(place.clone()), message: message.into() }
}
