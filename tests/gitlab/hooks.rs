//! The webhooks of the stand-in, which are switched off when they fail: for a minute at the fourth failure in a row,
//! then for twice as long each time, and for good at the fortieth (`web_hooks/auto_disabling.rb` of GitLab).

use serde_json::Value;
use serde_json::json;

use crate::lab::Role;
use crate::lab::State;
use crate::lab::User;
use crate::lab::message;
use crate::stand::Heard;
use crate::stand::Said;

/// How many failures in a row does a webhook have at most that is called all the same, and that comes back by itself?
const FORGIVEN: u32 = 3;
const PASSING: u32 = 39;
/// How long is it off at first and at most, in seconds?
const FIRST: i64 = 60;
const LONGEST: i64 = 24 * 3_600;
/// How many webhooks has a page, unless the question says so?
const PAGE: usize = 20;

#[derive(Clone, Debug)]
pub struct Hook {
    pub id: u64,
    pub url: String,
    /// How often it failed in a row.
    pub failures: u32,
    /// When it failed last, in seconds since 1970.
    pub failed_at: i64,
    /// Does this GitLab say what became of it?
    pub is_told: bool,
}

impl Hook {
    pub fn new(id: u64, url: &str) -> Self {
        Self { id, url: url.to_owned(), failures: 0, failed_at: 0, is_told: true }
    }

    /// Calls it once: it is answered, or fails.
    pub fn call(&mut self, now: i64, is_fine: bool) {
        (self.failures, self.failed_at) = if is_fine { (0, 0) } else { (self.failures + 1, now) };
    }

    /// Returns until when it is off.
    fn off_until(&self) -> Option<i64> {
        let doubled = self.failures.checked_sub(FORGIVEN + 1)?;
        Some(self.failed_at + FIRST.saturating_mul(1 << doubled.min(20)).min(LONGEST))
    }

    fn json(&self, now: i64) -> Value {
        let mut shown =
            json!({"id": self.id, "url": self.url, "push_events": true, "enable_ssl_verification": true});
        if self.is_told {
            let until = self.off_until().filter(|_| self.failures <= PASSING).filter(|until| now < *until);
            let status = match until {
                _ if self.failures > PASSING => "disabled",
                Some(_) => "temporarily_disabled",
                None => "executable",
            };
            shown["alert_status"] = status.into();
            shown["disabled_until"] =
                until.map(|until| jiff::Timestamp::from_second(until).unwrap().to_string()).into();
        }
        shown
    }
}

impl State {
    /// Lists the webhooks of a project to whoever may administer it.
    pub fn hooks(&self, project: &str, user: &User, heard: &Heard) -> Said {
        if user.roles[project] < Role::Maintainer {
            return message(403, "403 Forbidden");
        }
        let now = windlass::clock::now().0 / 1_000;
        let size = heard.asked("per_page").map_or(PAGE, |text| text.parse().unwrap());
        let hooks = &self.projects[project].hooks;
        Said::json(200, &Value::from_iter(hooks.iter().take(size).map(|hook| hook.json(now))))
    }
}
