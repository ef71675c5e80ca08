//! The webhooks of the stand-in, and what became of their deliveries.

use serde_json::Value;
use serde_json::json;

use crate::hub::State;
use crate::hub::message;
use crate::stand::Heard;
use crate::stand::Said;

/// How old may a delivery be that is sent again, in seconds?
const WINDOW: i64 = 7 * 24 * 3_600;

/// A webhook: the App's own has no repository.
#[derive(Clone)]
pub struct Hook {
    pub repository: Option<String>,
    pub id: u64,
    pub active: bool,
    pub url: String,
}

/// An attempt at a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub hook: u64,
    pub guid: String,
    /// When it was made, in seconds since 1970.
    pub at: i64,
    pub answered: u16,
}

impl State {
    /// Answers a request about a webhook, by the path after it.
    pub fn hook(&mut self, heard: &Heard, hook: u64, rest: &[&str]) -> Said {
        match (heard.method.as_str(), rest) {
            ("GET", ["deliveries"]) => self.deliveries(heard, hook),
            ("POST", ["deliveries", id, "attempts"]) => self.attempt(hook, id.parse().unwrap()),
            _ => message(404, "Not Found"),
        }
    }

    /// Returns the webhook of the App.
    pub fn app_hook(&self) -> Option<Hook> {
        self.hooks.iter().find(|hook| hook.repository.is_none()).cloned()
    }

    /// Lists the webhooks of a repository.
    pub fn list_hooks(&self, repository: &str) -> Said {
        let own = self.hooks.iter().filter(|hook| hook.repository.as_deref() == Some(repository));
        let item = |hook: &Hook| {
            json!({"id": hook.id, "type": "Repository", "name": "web", "active": hook.active, "events": ["push"],
                   "config": {"url": hook.url, "content_type": "json", "secret": "********"}})
        };
        Said::json(200, &Value::from_iter(own.map(item)))
    }

    fn deliveries(&self, heard: &Heard, hook: u64) -> Said {
        let per_page: usize = heard.asked("per_page").map_or(30, |count| count.parse().unwrap());
        let from: usize =
            heard.asked("cursor").map_or(0, |cursor| cursor.trim_start_matches("v1_").parse().unwrap());
        let own = self.deliveries.iter().enumerate().filter(|(_, attempt)| attempt.hook == hook);
        let mut all: Vec<(usize, &Attempt)> = own.collect();
        all.sort_by_key(|(id, attempt)| std::cmp::Reverse((attempt.at, *id)));
        let item = |(id, attempt): &(usize, &Attempt)| {
            let at = jiff::Timestamp::from_second(attempt.at).unwrap().to_string();
            let fine = (200..300).contains(&attempt.answered);
            json!({"id": id, "guid": attempt.guid, "delivered_at": at, "redelivery": false, "duration": 0.1,
                   "status": if fine { "OK" } else { "Invalid HTTP Response" }, "status_code": attempt.answered,
                   "event": "push", "action": null, "installation_id": 1, "repository_id": 2})
        };
        let page = Value::from_iter(all.iter().skip(from).take(per_page.min(100)).map(item));
        let next = (from + per_page < all.len()).then(|| {
            format!("<{}?per_page={per_page}&cursor=v1_{}>; rel=\"next\"", heard.path, from + per_page)
        });
        Said::json(200, &page).with("link", next)
    }

    fn attempt(&mut self, hook: u64, id: usize) -> Said {
        let at = self.now();
        let Some(before) = self.deliveries.get(id).filter(|before| before.hook == hook).cloned() else {
            return message(404, "Not Found");
        };
        if before.at < at - WINDOW {
            return message(422, "This delivery is too old to be sent again.");
        }
        self.deliveries.push(Attempt { at, answered: self.door, ..before });
        Said::json(202, &json!({}))
    }
}
