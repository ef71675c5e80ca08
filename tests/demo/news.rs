//! What happens during the demo, from three witnesses: windlass's log, the cluster and Gitea.

use serde_json::Value;
use tokio::sync::mpsc;

/// Something that happened.
#[derive(Clone, Debug)]
pub struct News {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// What it is expected as.
    pub key: String,
    /// How it looks.
    pub mark: Mark,
    /// What happened.
    pub what: String,
    /// To what.
    pub detail: String,
}

/// How news looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A step on the way.
    Step,
    /// Something that is not final.
    Open,
    /// It went well.
    Good,
    /// It did not.
    Bad,
    /// Somebody's hand.
    Hand,
}

/// Tells of news.
#[derive(Clone)]
pub struct Sender(pub mpsc::UnboundedSender<News>);

impl Sender {
    /// Tells; nobody listens any more when the demo has ended.
    pub fn tell(&self, news: News) {
        drop(self.0.send(news));
    }
}

/// Returns the time, in milliseconds since 1970.
pub fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

impl News {
    /// Returns news of an object: what was seen of it, its kind and its name.
    pub fn object(verb: &str, mark: Mark, kind: &str, name: &str, more: &str) -> Self {
        let detail = format!("{kind} {name}{more}");
        Self { at: now(), key: format!("{verb} {kind}/{name}"), mark, what: verb.to_owned(), detail }
    }

    /// Returns news of a status at Gitea.
    pub fn status(state: &str, context: &str, description: &str) -> Self {
        let (mark, word) = match state {
            "success" => (Mark::Good, "green"),
            "pending" => (Mark::Open, "pending"),
            "warning" => (Mark::Bad, "superseded"),
            _ => (Mark::Bad, "red"),
        };
        let what = format!("status {word}");
        let detail = format!("{context}: {description}");
        Self { at: now(), key: format!("{state} {context}"), mark, what, detail }
    }

    /// Reads a line of windlass's log; `None` for those that the demo does not show.
    pub fn read(line: &Value) -> Option<Self> {
        let text = |key: &str| line[key].as_str().unwrap_or_default();
        let at =
            text("timestamp").parse::<jiff::Timestamp>().map_or_else(|_| now(), |at| at.as_millisecond());
        let news = |key: &str, what: &str, detail: String| {
            Some(Self { at, key: key.to_owned(), mark: Mark::Step, what: what.to_owned(), detail })
        };
        match text("message") {
            "delivery accepted" => {
                news("accepted", "delivery accepted", format!("signed by Gitea: {}", text("read")))
            }
            "job taken" => news("dispatched", "target dispatched", text("target.name").to_owned()),
            message if text("level") == "ERROR" || message == "nothing touched" => {
                Some(Self { mark: Mark::Bad, ..news("trouble", "windlass says", line.to_string())? })
            }
            _ => None,
        }
    }
}
