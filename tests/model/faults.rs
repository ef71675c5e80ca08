//! Steps at which something fails.

use std::time::Duration;

use crate::objects::Kind;
use crate::play::Play;

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Windlass may do nothing about a kind.
    Forbid,
    /// It may again.
    Allow,
    /// The API server fails some requests.
    Fail,
    /// All connections to the API server break.
    Break,
    /// The forge fails some requests.
    FailForge,
    /// Windlass is killed and started.
    Kill,
    /// Windlass is killed when it makes a certain request, and started.
    KillAt,
    /// Windlass is killed and does not come back before the end, or the next such step.
    Down,
    /// Windlass is killed and loses all that it remembers.
    Forget,
}

/// How long is a request waited for that windlass may have no need of?
const REQUEST_WITHIN: Duration = Duration::from_secs(3);

/// The requests to the API server that can be told apart: how they begin, what they contain, and whether they are dry.
const REQUESTS: &[(&str, &str, Option<bool>)] = &[
    ("GET", "labelSelector", None),
    ("GET", "/configmaps/windlass-", None),
    ("PATCH", "/", Some(true)),
    ("PATCH", "/", Some(false)),
    ("PATCH", "/configmaps/", Some(false)),
    ("DELETE", "/", None),
    ("P", "/configmaps/windlass-", Some(false)),
    ("", "/", None),
];

/// What becomes of them.
const FATES: &[&str] = &["500", "503", "504", "409", "429", "wait", "cut", "cut answer"];

fn fits(request: usize) -> impl Fn(&str) -> bool + Send + 'static {
    let (method, part, dry) = REQUESTS[request];
    move |line| {
        line.starts_with(method)
            && line.contains(part)
            && dry.is_none_or(|dry| line.contains("dryRun") == dry)
    }
}

impl Play {
    /// Lets something fail.
    pub(super) async fn suffer(&mut self, fault: Fault) {
        match fault {
            Fault::Forbid => {
                let key = self.branch.any(&mut self.chance);
                self.say(format!("{:?}", key.kind));
                self.trouble = true;
                self.stage.allow();
                self.stage.forbid(key.kind);
                self.blind = key.kind == Kind::Deployment;
            }
            Fault::Allow => self.stage.allow(),
            Fault::Fail => self.fail(),
            Fault::Break => self.stage.east.break_off(),
            Fault::Forget => self.forget().await,
            Fault::FailForge => {
                let (status, times) = ([500, 502, 503][self.chance.below(3)], 1 + self.chance.below(2));
                match self.chance.below(3) {
                    0 => self.stage.gitea.refuse(times, status, |line| line.contains("/statuses/")),
                    1 => self.stage.gitea.cut(times, |line| line.contains("git-upload-pack")),
                    _ => self.stage.gitea.refuse(times, 503, |line| line.contains("info/refs")),
                }
            }
            Fault::KillAt => self.kill_at().await,
            Fault::Down => self.stage.kill(None),
            Fault::Kill => {
                self.stage.kill(None);
                self.stage.start().await;
            }
        }
    }

    async fn forget(&mut self) {
        if !self.stage.forget().await {
            return self.say("but it remembers elsewhere".to_owned());
        }
        self.forgotten = self.pushed.len();
        // Nobody knows of it any more.
        self.pushed.last_mut().unwrap().delivered = false;
    }

    fn fail(&mut self) {
        let (request, times) = (self.chance.below(REQUESTS.len()), 1 + self.chance.below(2));
        let fate = FATES[self.chance.below(FATES.len())];
        self.say(format!("{:?} {fate}, {times} times", REQUESTS[request]));
        let (east, fits) = (&self.stage.east, fits(request));
        match fate {
            "cut" => east.cut(times, fits),
            "cut answer" => east.cut_answer(times, fits),
            "wait" => east.put_off(times, 1, fits),
            status => east.refuse(times, status.parse().unwrap(), fits),
        }
    }

    async fn kill_at(&mut self) {
        let (request, answer) = (self.chance.below(REQUESTS.len() - 1), self.chance.below(2) == 0);
        let overtaken = self.chance.below(2) == 0;
        self.stage.start().await;
        let (east, fits) = (&self.stage.east, fits(request));
        let held = if answer { east.hold_answer(fits) } else { east.hold(fits) };
        self.edit();
        self.push(true).await;
        let came = held.came(REQUEST_WITHIN).await;
        self.say(format!("{:?}, answer: {answer}, came: {came}", REQUESTS[request]));
        if overtaken {
            self.edit();
            self.push(true).await;
        }
        if came {
            self.stage.kill(Some(held));
        }
        self.stage.start().await;
    }
}
