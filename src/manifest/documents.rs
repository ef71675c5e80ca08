//! From a file to its documents.
//!
//! YAML is cut into documents before it is parsed, as `kubectl` does: then a mistake in one hides no other, and each has
//! limits of its own. A `---` at the start of a line cannot be part of anything else.

use serde_json::Value;

use crate::manifest::DOCUMENT_BYTES;
use crate::manifest::DOCUMENTS;
use crate::manifest::Text;
use crate::manifest::problem;
use crate::manifest::value;
use crate::manifest::value::Budget;
use crate::manifest::value::Mistake;
use crate::object::Place;
use crate::outcome::Problem;

/// What a document turned out to be.
pub(super) type Read = Result<(Place, Value), Problem>;

/// Reads the documents of a file, one after the other; empty ones are passed over and not counted.
pub(super) fn each(text: &Text<'_>, budget: &Budget, take: &mut dyn FnMut(Read)) {
    let bytes = text.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text.bytes);
    match std::str::from_utf8(bytes) {
        Err(e) => {
            let line = bytes.get(..e.valid_up_to()).map_or(1, |fine| 1 + newlines(fine));
            let place = Place { file: text.file.to_owned(), document: 1, line };
            take(Err(problem(&place, "is not UTF-8; save the file in that encoding")));
        }
        Ok(content) if text.file.to_ascii_lowercase().ends_with(".json") => json(text.file, content, take),
        Ok(content) => yaml(text.file, content, budget, take),
    }
}

fn yaml(file: &str, content: &str, budget: &Budget, take: &mut dyn FnMut(Read)) {
    for (at, part) in parts(content).into_iter().enumerate() {
        let line = part.content_line.unwrap_or(part.line);
        let place = Place { file: file.to_owned(), document: at + 1, line };
        if at >= DOCUMENTS {
            take(Err(problem(&place, format!("is one of more than {DOCUMENTS} documents; split the file"))));
            return;
        }
        if part.text.len() > DOCUMENT_BYTES {
            let size = part.text.len();
            take(Err(problem(&place, format!("has {size} bytes, and a document may have {DOCUMENT_BYTES}"))));
            continue;
        }
        let read = value::yaml(part.text, budget);
        take(
            read.map(|value| (place.clone(), value)).map_err(|mistake| mistaken(&place, part.line, &mistake)),
        );
        if budget.is_spent() {
            return;
        }
    }
}

fn json(file: &str, content: &str, take: &mut dyn FnMut(Read)) {
    let mut values = value::json(content);
    for document in 1.. {
        let start = values.byte_offset();
        let rest = content.get(start..).unwrap_or_default();
        let blank = rest.len() - rest.trim_start().len();
        let line = 1 + content.get(..start + blank).map_or(0, |before| newlines(before.as_bytes()));
        let place = Place { file: file.to_owned(), document, line };
        let Some(read) = values.next() else { return };
        if document > DOCUMENTS {
            take(Err(problem(&place, format!("is one of more than {DOCUMENTS} documents; split the file"))));
            return;
        }
        match read {
            Ok(value) => take(Ok((place, value.0))),
            // What follows a mistake in JSON cannot be told from the mistake.
            Err(e) => return take(Err(mistaken(&place, 1, &value::json_mistake(&e)))),
        }
    }
}

fn mistaken(place: &Place, first_line: usize, mistake: &Mistake) -> Problem {
    let Mistake { why, at } = mistake;
    match at {
        None => problem(place, why.to_string()),
        Some((line, column)) => {
            let line = first_line.saturating_add(*line).saturating_sub(1);
            let place = Place { line, ..place.clone() };
            problem(&place, format!("{why} (line {line}, column {column})"))
        }
    }
}

/// A stretch of a YAML file that holds one document.
struct Part<'a> {
    text: &'a str,
    /// The line at which the text starts, from 1.
    line: usize,
    /// The first line that holds more than a comment or a marker; `None` where there is nothing to read.
    content_line: Option<usize>,
    /// Whether all that came so far are directives, which belong to the document behind the marker that follows.
    only_directives: bool,
}

fn parts(content: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut part = fresh(1);
    let mut offset = 0;
    for (number, line) in (1..).zip(content.split_inclusive('\n')) {
        let bare = line.trim_end_matches(['\n', '\r']);
        if is_marker(bare, "---") && !part.only_directives {
            close(&mut parts, part, content.get(start..offset));
            (start, part) = (offset, fresh(number));
        }
        if is_marker(bare, "...") {
            close(&mut parts, part, content.get(start..offset));
            (start, part) = (offset + line.len(), fresh(number + 1));
        } else {
            note(&mut part, bare, number);
        }
        offset += line.len();
    }
    close(&mut parts, part, content.get(start..));
    parts
}

fn fresh<'a>(line: usize) -> Part<'a> {
    Part { text: "", line, content_line: None, only_directives: false }
}

fn close<'a>(parts: &mut Vec<Part<'a>>, part: Part<'a>, text: Option<&'a str>) {
    if part.content_line.is_some() {
        parts.push(Part { text: text.unwrap_or_default(), ..part });
    }
}

fn note(part: &mut Part<'_>, line: &str, number: usize) {
    let held = if is_marker(line, "---") { line.get(3..).unwrap_or_default() } else { line }.trim();
    if held.is_empty() || held.starts_with('#') {
        if is_marker(line, "---") {
            part.only_directives = false;
        }
        return;
    }
    part.only_directives = line.starts_with('%') && (part.content_line.is_none() || part.only_directives);
    if part.content_line.is_none() {
        part.content_line = Some(number);
    }
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}
