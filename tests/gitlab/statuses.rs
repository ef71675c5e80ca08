//! The commit statuses of the stand-in, which move as GitLab's do: `app/services/ci/create_commit_status_service.rb` and
//! `app/models/commit_status.rb` of GitLab.

use serde_json::Value;
use serde_json::json;

use crate::lab::Role;
use crate::lab::State;
use crate::lab::User;
use crate::lab::decoded;
use crate::lab::message;
use crate::stand::Heard;
use crate::stand::Said;

/// How many characters may a description, the address of more, a name and a ref have?
const CHARS: usize = 255;
/// How many statuses has a page, unless the question says so, and at most?
const PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

/// A status: one for each name and user until it is final, then a new one begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub project: String,
    pub commit: String,
    pub branch: String,
    /// The pipeline that it belongs to.
    pub pipeline: usize,
    pub user: &'static str,
    pub name: String,
    pub description: String,
    pub target_url: Option<String>,
    /// Every state that it was in, one after the other; never empty.
    pub states: Vec<String>,
    /// What lists show until when: its state and description, where they showed it at all.
    stale: Option<(i64, Option<(String, String)>)>,
}

impl Status {
    pub fn state(&self) -> &str {
        self.states.last().map_or("created", String::as_str)
    }

    pub fn is_open(&self) -> bool {
        ["pending", "running"].contains(&self.state())
    }

    /// Returns what lists show of it at a time.
    fn shown(&self, now: i64) -> Option<(&str, &str)> {
        match self.stale.as_ref().filter(|(until, _)| now < *until) {
            Some((_, before)) => before.as_ref().map(|(state, text)| (state.as_str(), text.as_str())),
            None => Some((self.state(), &self.description)),
        }
    }

    fn json(&self, id: usize, state: &str, description: &str) -> Value {
        json!({
            "id": id, "sha": self.commit, "ref": self.branch, "status": state, "name": self.name,
            "target_url": self.target_url, "description": description, "allow_failure": false, "coverage": null,
            "pipeline_id": self.pipeline, "author": {"username": self.user},
        })
    }
}

/// Returns the state in which an event ends, and its name, where a status may go there from a state.
fn moves(from: &str, to: &str) -> Result<&'static str, &'static str> {
    let is_of = |states: &[&str]| states.contains(&from);
    let (event, ends, fine) = match to {
        "pending" => ("enqueue", "pending", is_of(&["created", "skipped", "manual", "scheduled"])),
        // What is not queued yet is queued first.
        "running" => ("run", "running", is_of(&["created", "skipped", "manual", "scheduled", "pending"])),
        "success" => ("success", "success", is_of(&["created", "pending", "running"])),
        "failed" => ("drop", "failed", is_of(&["created", "pending", "running", "manual", "scheduled"])),
        "canceled" => {
            ("cancel", "canceled", is_of(&["created", "pending", "running", "manual", "scheduled"]))
        }
        "skipped" => ("skip", "skipped", is_of(&["created", "pending"])),
        _ => unreachable!("the states that are asked for are checked before"),
    };
    if fine { Ok(ends) } else { Err(event) }
}

impl State {
    /// Moves a status.
    pub fn status(&mut self, project: &str, commit: &str, user: &User, said: &Value) -> Said {
        let role = user.roles[project];
        if role < Role::Developer {
            return message(403, "403 Forbidden");
        }
        let text = |key: &str| said[key].as_str().map(str::to_owned);
        let Some(wanted) = text("state") else {
            return Said::json(400, &json!({"error": "state is missing, state does not have a valid value"}));
        };
        if !["pending", "running", "success", "failed", "canceled", "skipped"].contains(&wanted.as_str()) {
            return Said::json(400, &json!({"error": "state does not have a valid value"}));
        }
        let branch = match self.branch(project, commit, text("ref")) {
            Ok(branch) => branch,
            Err(said) => return said,
        };
        if self.projects[project].protected.contains(&branch) && role < Role::Maintainer {
            return message(403, "403 Forbidden");
        }
        for key in ["name", "description", "target_url"] {
            if text(key).is_some_and(|text| text.chars().count() > CHARS) {
                let words = json!({"message": {key: ["is too long (maximum is 255 characters)"]}});
                return Said::json(400, &words);
            }
        }
        let name = text("name").or_else(|| text("context")).unwrap_or_else(|| "default".to_owned());
        let fresh = Status {
            project: project.to_owned(),
            commit: commit.to_owned(),
            branch,
            user: user.name,
            name,
            ..Status::default()
        };
        self.advance(fresh, &wanted, (text("description"), text("target_url")))
    }

    /// Returns the branch that a status is for: the one that is named, or that of the newest pipeline, or else the first
    /// one that holds the commit.
    fn branch(&self, project: &str, commit: &str, named: Option<String>) -> Result<String, Said> {
        let place = &self.projects[project];
        let holding = place.branches.iter().filter(|(_, commits)| commits.iter().any(|one| one == commit));
        let holding = holding.map(|(name, _)| name.clone()).next();
        if holding.is_none() && !place.loose.contains(commit) {
            return Err(message(404, "404 Commit Not Found"));
        }
        let newest = self.statuses.iter().rfind(|one| one.project == project && one.commit == commit);
        let branch = named.or_else(|| newest.map(|one| one.branch.clone())).or(holding);
        branch.ok_or_else(|| message(404, "404 References for commit Not Found"))
    }

    /// Moves the open status of this name on, or begins one.
    fn advance(&mut self, fresh: Status, wanted: &str, words: (Option<String>, Option<String>)) -> Said {
        let same = |one: &Status| {
            (&one.project, &one.commit, &one.branch) == (&fresh.project, &fresh.commit, &fresh.branch)
        };
        let pipeline = self.statuses.iter().rfind(|one| same(one)).map(|one| one.pipeline);
        let is_own =
            |one: &Status| same(one) && one.name == fresh.name && one.user == fresh.user && one.is_open();
        let open = self.statuses.iter().rposition(is_own);
        let jobs = self.statuses.iter().filter(|one| same(one)).count();
        if open.is_none() && self.jobs.is_some_and(|most| jobs >= most) {
            return message(422, "The number of jobs has exceeded the limit");
        }
        let from = open.map_or("created", |at| self.statuses[at].state()).to_owned();
        let ends = match moves(&from, wanted) {
            Ok(ends) => ends,
            Err(event) => {
                self.refused.push(format!("{event} from {from}: {}", fresh.name));
                return message(
                    400,
                    &format!(
                        "Cannot transition status via :{event} from :{from} (Reason(s): Status cannot transition via \"{event}\")"
                    ),
                );
            }
        };
        let at = open.unwrap_or(self.statuses.len());
        if open.is_none() {
            self.statuses.push(Status { pipeline: pipeline.unwrap_or(100 + at), ..fresh });
        }
        let (now, lag) = (self.now, self.lag);
        let status = &mut self.statuses[at];
        let before = status.shown(now).filter(|_| open.is_some());
        let before = before.map(|(state, text)| (state.to_owned(), text.to_owned()));
        status.stale = (lag > 0).then_some((now + lag, before));
        status.states.push(ends.to_owned());
        // What is not said stays.
        status.description = words.0.unwrap_or_else(|| status.description.clone());
        status.target_url = words.1.or_else(|| status.target_url.clone());
        Said::json(201, &status.json(at, ends, &status.description))
    }

    /// Lists the statuses of a commit, the oldest first: the latest of each name and pipeline, or all of them. What lags
    /// behind shows later.
    pub fn list(&self, project: &str, commit: &str, heard: &Heard) -> Said {
        let place = &self.projects[project];
        if !place.loose.contains(commit) && !place.branches.values().flatten().any(|one| one == commit) {
            return message(404, "404 Commit Not Found");
        }
        let (name, is_all) = (heard.asked("name").map(decoded), heard.asked("all") == Some("true"));
        let mut rows: Vec<(&Status, Value)> = Vec::new();
        for (id, status) in self.statuses.iter().enumerate() {
            let is_wanted = status.project == project
                && status.commit == commit
                && name.as_ref().is_none_or(|name| *name == status.name);
            let Some((state, text)) = status.shown(self.now).filter(|_| is_wanted) else { continue };
            rows.retain(|(other, _)| {
                is_all || (&other.name, other.pipeline) != (&status.name, status.pipeline)
            });
            rows.push((status, status.json(id, state, text)));
        }
        if heard.asked("sort") == Some("desc") {
            rows.reverse();
        }
        let number = |name: &str| heard.asked(name).and_then(|text| text.parse::<usize>().ok());
        let size = number("per_page").unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
        let page = number("page").unwrap_or(1).max(1);
        let shown =
            Value::from_iter(rows.iter().skip(size * (page - 1)).take(size).map(|(_, row)| row.clone()));
        let next = (size * page < rows.len()).then(|| (page + 1).to_string());
        let total = rows.len().to_string();
        Said::json(200, &shown)
            .with("x-next-page", Some(next.unwrap_or_default()))
            .with("x-total", Some(total))
    }
}
