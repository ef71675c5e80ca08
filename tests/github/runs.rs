//! The check runs of the stand-in, which move and are bounded as GitHub's.

use serde_json::Value;
use serde_json::json;

use crate::hub::State;
use crate::hub::message;
use crate::stand::Heard;
use crate::stand::Said;

/// How many annotations takes one request?
const ANNOTATIONS: usize = 50;
/// How many characters has a summary?
const SUMMARY: usize = 65_535;

/// A check run as GitHub keeps it.
#[derive(Clone, Debug)]
pub struct Run {
    pub id: u64,
    pub repository: String,
    pub commit: String,
    pub name: String,
    pub key: String,
    pub status: String,
    pub conclusion: Option<String>,
    pub title: String,
    pub summary: String,
    pub annotations: Vec<Value>,
    /// Every state that it was in, one after the other.
    pub states: Vec<String>,
    /// For how many more lists is it not in them?
    hidden: usize,
}

impl Run {
    fn json(&self) -> Value {
        json!({
            "id": self.id, "head_sha": self.commit, "name": self.name, "external_id": self.key,
            "status": self.status, "conclusion": self.conclusion, "app": {"id": crate::hub::APP},
            "output": {"title": self.title, "summary": self.summary, "text": null,
                       "annotations_count": self.annotations.len()},
        })
    }

    /// Takes what a request says; `Err` with what is wrong with it.
    fn take(&mut self, said: &Value) -> Result<(), &'static str> {
        let text = |pointer: &str| said.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let status = text("/status").ok_or("status")?;
        let conclusion = text("/conclusion");
        if conclusion.is_some() != (status == "completed") {
            return Err("For 'properties/status', a conclusion goes with completed and with nothing else.");
        }
        let (title, summary) =
            (text("/output/title").ok_or("title")?, text("/output/summary").ok_or("summary")?);
        if summary.chars().count() > SUMMARY {
            return Err("summary exceeds a maximum length of 65535 characters");
        }
        let none = Vec::new();
        let annotations = said.pointer("/output/annotations").map_or(&none, |list| list.as_array().unwrap());
        if annotations.len() > ANNOTATIONS {
            return Err("No more than 50 items are allowed; annotations");
        }
        for one in annotations {
            let fine = ["path", "annotation_level", "message"].iter().all(|name| one[name].is_string())
                && ["start_line", "end_line"].iter().all(|name| one[name].is_u64())
                && one["title"].as_str().is_none_or(|title| title.chars().count() <= 255)
                && one["message"].as_str().is_some_and(|message| message.len() <= 64 << 10);
            if !fine {
                return Err("annotations");
            }
        }
        self.states.push(conclusion.clone().unwrap_or_else(|| status.clone()));
        (self.status, self.conclusion, self.title, self.summary) = (status, conclusion, title, summary);
        self.annotations.extend(annotations.iter().cloned());
        Ok(())
    }
}

impl State {
    /// Answers a request about the check runs of a repository.
    pub fn runs(&mut self, heard: &Heard, repository: &str, rest: &[&str]) -> Said {
        let own = |run: &&mut Run| run.repository == repository;
        match (heard.method.as_str(), rest) {
            ("POST", ["check-runs"]) => self.make(repository, &heard.json()),
            ("PATCH", ["check-runs", id]) => {
                let id: u64 = id.parse().unwrap();
                let Some(run) = self.runs.iter_mut().filter(own).find(|run| run.id == id) else {
                    return message(404, "Not Found");
                };
                match run.take(&heard.json()) {
                    Ok(()) => Said::json(200, &run.json()),
                    Err(words) => message(422, words),
                }
            }
            ("GET", ["check-runs", id]) => {
                let id: u64 = id.parse().unwrap();
                let run = self.runs.iter_mut().filter(own).find(|run| run.id == id);
                run.map_or_else(|| message(404, "Not Found"), |run| Said::json(200, &run.json()))
            }
            ("GET", ["commits", commit, "check-runs"]) => {
                let name = heard.asked("check_name").unwrap();
                let name = name.replace("%2F", "/").replace("%40", "@");
                let mut listed = Vec::new();
                for run in self.runs.iter_mut().filter(own).filter(|run| run.commit == *commit) {
                    if run.hidden > 0 {
                        run.hidden -= 1;
                    } else if run.name == name {
                        listed.insert(0, run.json());
                    }
                }
                Said::json(200, &json!({"total_count": listed.len(), "check_runs": listed}))
            }
            _ => message(404, "Not Found"),
        }
    }

    fn make(&mut self, repository: &str, said: &Value) -> Said {
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        let mut run = Run {
            id: 4_000_000_000 + u64::try_from(self.runs.len()).unwrap(),
            repository: repository.to_owned(),
            commit: text("head_sha"),
            name: text("name"),
            key: text("external_id"),
            status: String::new(),
            conclusion: None,
            title: String::new(),
            summary: String::new(),
            annotations: Vec::new(),
            states: Vec::new(),
            hidden: self.lag,
        };
        if run.name.is_empty() || run.commit.len() != 40 {
            return message(422, "Invalid request. For 'links/0/schema', name and head_sha are required.");
        }
        if let Err(words) = run.take(said) {
            return message(422, words);
        }
        let answer = run.json();
        self.runs.push(run);
        Said::json(201, &answer)
    }
}
