//! Check runs: how an App tells what became of a commit, in the place of statuses.
//!
//! One request at a time: what is known of a check run and what is to be shown make the next one, and its answer makes
//! what is known then. Nothing is shown twice because an answer got lost: what may have arrived is looked for first.
//! A check run that is completed stays as it is; whatever is to be shown later makes a new one of the same name, which
//! GitHub shows in its place.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::json;

use crate::forge::Answer;
use crate::forge::HttpAnswer;
use crate::forge::StatusPost;
use crate::forge::github;
use crate::forge::github::app::Ask;
use crate::forge::post;
use crate::outcome::Phase;
use crate::outcome::Problem;

/// How many annotations does GitHub take with one request? Those of later requests are added.
const ANNOTATIONS: usize = 50;

/// How many bytes may a summary have? GitHub counts characters, of which there are no more.
const SUMMARY_BYTES: usize = 65_535;

/// How many bytes may the message of an annotation have? GitHub takes 64 KiB.
const MESSAGE_BYTES: usize = 64 << 10;

/// How many characters may the titles of a check run and of an annotation have? GitHub takes 255 of the latter.
const TITLE_CHARS: usize = 255;

/// How many check runs of one name and commit are looked through?
const LOOKED_AT: usize = 8;

/// What is known of the check run that shows a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What windlass calls it, so that it finds it again.
    pub key: String,
    /// What GitHub calls it, once it has said so.
    pub id: Option<u64>,
    /// Is it completed, as far as the requests go that were sent?
    pub completed: bool,
    /// How many annotations were sent.
    pub annotated: usize,
    /// Is it unknown what became of the last request?
    pub unsure: bool,
}

/// What a check run is to show.
#[derive(Clone, Copy, Debug)]
pub struct Show<'a> {
    /// What a status would say. A pending one is shown as in progress where it is the whole commit's.
    pub status: &'a StatusPost<'a>,
    /// Whether it is about the whole commit.
    pub whole: bool,
    /// What stands in the way.
    pub problems: &'a [Problem],
    /// The folder in the repository that the files of problems are counted from; empty for all of it.
    pub folder: &'a str,
}

/// A request that brings a check run on, and what is known while it is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What is known once the request is sent: to be kept before, since the answer may get lost.
    pub check: Check,
    /// The request.
    pub ask: Ask,
    before: Option<Check>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It looks for what an earlier request may have left.
    Look,
    /// It shows something; all of it, or the first part of it; at lines of files, or not.
    Show { all: bool, at_lines: bool },
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// What is known then.
    pub check: Option<Check>,
    /// What it means for the request.
    pub answer: Answer,
    /// Whether everything is shown.
    pub shown: bool,
}

impl Turn {
    /// Returns the next request for a check run; `key` is what a new one would be called.
    #[must_use]
    pub fn next(known: Option<&Check>, show: &Show<'_>, key: &str) -> Self {
        let begun = known.filter(|check| !check.completed || check.unsure).cloned();
        let check = begun.unwrap_or_else(|| Check {
            key: key.to_owned(),
            id: None,
            completed: false,
            annotated: 0,
            unsure: false,
        });
        let before = known.cloned();
        if check.unsure {
            return Self { ask: look(&check, show), check, before, kind: Kind::Look };
        }
        let annotations = annotations(show);
        let rest = annotations.get(check.annotated..).unwrap_or_default();
        let part = rest.get(..ANNOTATIONS).unwrap_or(rest);
        let all = part.len() == rest.len();
        let ask = write(&check, show, part, all);
        let annotated = check.annotated.saturating_add(part.len());
        let completed = show.status.phase.is_final() && all;
        Self {
            check: Check { completed, annotated, unsure: true, ..check },
            ask,
            before,
            kind: Kind::Show { all, at_lines: !part.is_empty() },
        }
    }

    /// Returns what is known when the request was not sent after all.
    #[must_use]
    pub fn unsent(self) -> Option<Check> {
        self.before
    }

    /// Returns what the answer to the request means.
    #[must_use]
    pub fn after(self, show: &Show<'_>, answer: &HttpAnswer<'_>) -> After {
        let meant = classify(answer);
        match (self.kind, answer.status) {
            (Kind::Show { all, .. }, 200..=299) => self.told(all, answer, meant),
            (Kind::Look, 200..=299) => self.seen(show, answer, meant),
            // It was deleted, or the App may not see the repository now: it is looked for by its name before there is
            // another one.
            (_, 404) if self.check.id.is_some() => {
                let check = Check { id: None, unsure: true, ..self.check };
                After { check: Some(check), answer: Answer::Later(None), shown: false }
            }
            // Nothing else in it depends on what a commit holds: the rest is shown without the lines.
            (Kind::Show { at_lines: true, .. }, 422) => {
                let check = Check { completed: false, annotated: usize::MAX, unsure: false, ..self.check };
                After { check: Some(check), answer: Answer::Taken, shown: false }
            }
            // What a server that is in trouble did is not known.
            (Kind::Show { .. }, 408 | 500..) => {
                After { check: Some(self.check), answer: meant, shown: false }
            }
            _ => After { check: self.before, answer: meant, shown: false },
        }
    }

    fn told(self, all: bool, answer: &HttpAnswer<'_>, meant: Answer) -> After {
        let id = read(answer).and_then(|check| check.get("id")?.as_u64()).or(self.check.id);
        // Without its number it can be looked for.
        let unsure = id.is_none();
        After { check: Some(Check { id, unsure, ..self.check }), answer: meant, shown: all && !unsure }
    }

    fn seen(self, show: &Show<'_>, answer: &HttpAnswer<'_>, meant: Answer) -> After {
        let Some(body) = read(answer) else {
            let answer = Answer::Unsure(None);
            return After { check: self.before, answer, shown: false };
        };
        let list = body.get("check_runs").and_then(Value::as_array);
        let is_own = |run: &&Value| text(run, "/external_id") == Some(&self.check.key);
        let found = match list {
            Some(list) => list.iter().find(is_own),
            None => Some(&body),
        };
        let known = found.and_then(|run| {
            let count = run.pointer("/output/annotations_count").and_then(Value::as_u64).unwrap_or_default();
            Some(Check {
                id: Some(run.get("id")?.as_u64()?),
                completed: text(run, "/status") == Some("completed"),
                annotated: usize::try_from(count).ok()?,
                unsure: false,
                key: self.check.key.clone(),
            })
        });
        let shown = known.as_ref().is_some_and(|check| check.completed)
            && found.is_some_and(|run| {
                text(run, "/conclusion") == conclusion(show.status.phase)
                    && text(run, "/output/title") == Some(&title(show))
            });
        let fresh =
            || Check { id: None, completed: false, annotated: 0, unsure: false, ..self.check.clone() };
        After { check: Some(known.unwrap_or_else(fresh)), answer: meant, shown }
    }
}

fn look(check: &Check, show: &Show<'_>) -> Ask {
    let StatusPost { api, repository, commit, context, .. } = show.status;
    let repository = post::escaped(repository, "/");
    Ask::get(match check.id {
        Some(id) => format!("{api}/repos/{repository}/check-runs/{id}"),
        None => format!(
            "{api}/repos/{repository}/commits/{commit}/check-runs?check_name={}&filter=all&per_page={LOOKED_AT}",
            post::escaped(context, "%2F"),
        ),
    })
}

fn write(check: &Check, show: &Show<'_>, annotations: &[Value], all: bool) -> Ask {
    let StatusPost { api, repository, commit, context, phase, target_url, .. } = show.status;
    let repository = post::escaped(repository, "/");
    let mut output = json!({ "title": title(show), "summary": summary(show) });
    let mut body = json!({ "status": status(*phase, show.whole, all) });
    set(&mut body, "conclusion", conclusion(*phase).filter(|_| all).map(Value::from));
    set(&mut body, "details_url", target_url.map(Value::from));
    set(&mut output, "annotations", (!annotations.is_empty()).then(|| annotations.into()));
    set(&mut body, "output", Some(output));
    let Some(id) = check.id else {
        set(&mut body, "name", Some((*context).into()));
        set(&mut body, "head_sha", Some(commit.as_str().into()));
        set(&mut body, "external_id", Some(check.key.as_str().into()));
        return Ask::with("POST", format!("{api}/repos/{repository}/check-runs"), &body);
    };
    Ask::with("PATCH", format!("{api}/repos/{repository}/check-runs/{id}"), &body)
}

fn set(object: &mut Value, name: &str, value: Option<Value>) {
    if let (Some(value), Some(fields)) = (value, object.as_object_mut()) {
        fields.insert(name.to_owned(), value);
    }
}

/// Returns how far a check run is. The last part of what there is to show completes it.
fn status(phase: Phase, whole: bool, all: bool) -> &'static str {
    match phase {
        Phase::Pending if !whole => "queued",
        Phase::Pending | Phase::Running | Phase::Applied => "in_progress",
        Phase::Healthy | Phase::Failed | Phase::Error | Phase::Superseded if all => "completed",
        Phase::Healthy | Phase::Failed | Phase::Error | Phase::Superseded => "in_progress",
    }
}

/// Returns the end that a check run comes to. An error is a failure too, and not `action_required`: there is nothing
/// that the author of the commit could do where GitHub's button would lead.
fn conclusion(phase: Phase) -> Option<&'static str> {
    match phase {
        Phase::Pending | Phase::Running | Phase::Applied => None,
        Phase::Healthy => Some("success"),
        Phase::Failed | Phase::Error => Some("failure"),
        Phase::Superseded => Some("cancelled"),
    }
}

fn title(show: &Show<'_>) -> String {
    post::cut(show.status.description, TITLE_CHARS)
}

/// Returns what happened, in full: as plain text, in which nothing of a manifest means anything to a page.
fn summary(show: &Show<'_>) -> String {
    let visible = |line: &str| line.replace(|c: char| c.is_control(), " ");
    // A page takes a lone carriage return for the end of a line too.
    let plain = |text: &str| {
        text.split(['\n', '\r']).map(|line| format!("    {}\n", visible(line))).collect::<String>()
    };
    let mut summary = plain(show.status.description);
    if show.status.phase == Phase::Error {
        summary.push_str(
            "\nWindlass could not do its part, which says nothing about the commit. Its log says more to whoever runs it.\n",
        );
    }
    if show.status.phase.is_final() && !show.problems.is_empty() {
        summary.push_str("\nWhat stands in the way:\n\n");
        summary.extend(show.problems.iter().map(|problem| plain(&problem.to_string())));
    }
    cut_bytes(&summary, SUMMARY_BYTES)
}

/// Returns what is said at the lines of manifests, where it is known which ones are meant.
fn annotations(show: &Show<'_>) -> Vec<Value> {
    if !show.status.phase.is_final() {
        return Vec::new();
    }
    let about = |problem: &Problem| {
        let place = problem.place.as_ref()?;
        let folder = show.folder.trim_matches('/');
        let between = if folder.is_empty() { "" } else { "/" };
        let mut annotation = json!({
            "path": format!("{folder}{between}{}", place.file),
            "start_line": place.line,
            "end_line": place.line,
            "annotation_level": "failure",
            "message": cut_bytes(&problem.message, MESSAGE_BYTES),
        });
        let title = problem.object.as_ref().map(|object| post::cut(&object.to_string(), TITLE_CHARS));
        set(&mut annotation, "title", title.map(Value::from));
        Some(annotation)
    };
    show.problems.iter().filter_map(about).collect()
}

/// Cuts a text to a number of bytes, between characters.
fn cut_bytes(text: &str, limit: usize) -> String {
    const MARK: char = '…';
    if text.len() <= limit {
        return text.to_owned();
    }
    let room = limit.saturating_sub(MARK.len_utf8());
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= room).last().unwrap_or(0);
    format!("{}{MARK}", text.get(..end).unwrap_or_default())
}

fn classify(answer: &HttpAnswer<'_>) -> Answer {
    let words = || post::words(answer);
    match answer.status {
        200..=299 => post::taken(answer, "x-ratelimit-remaining", "x-ratelimit-reset"),
        401 => Answer::Ours("GitHub refuses the App's token, also a new one".to_owned()),
        _ => github::limited(answer).unwrap_or_else(|| match answer.status {
            403 => Answer::Ours(format!(
                "the App may not write check runs here: give it the permission checks: write, and accept that where it is installed{}",
                words()
            )),
            404 => Answer::Ours(format!(
                "GitHub shows the App no such repository: let its installation cover it{}",
                words()
            )),
            _ => post::classify(answer),
        }),
    }
}

fn read(answer: &HttpAnswer<'_>) -> Option<Value> {
    serde_json::from_slice(answer.body).ok().filter(Value::is_object)
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

#[cfg(test)]
mod tests;
