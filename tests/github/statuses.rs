//! The commit statuses of the stand-in, which are bounded and combined as GitHub's.

use serde_json::Value;
use serde_json::json;

use crate::hub::State;
use crate::hub::message;
use crate::stand::Heard;
use crate::stand::Said;

/// How many statuses takes a commit of one context?
const STATUSES: usize = 1_000;
/// How many characters has a description?
const DESCRIPTION: usize = 140;
/// How many statuses has a page, unless the question says so, and at most?
const PAGE: usize = 30;
const LARGEST_PAGE: usize = 100;

/// A status as GitHub keeps it: none is ever changed, and the latest of a context counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub repository: String,
    pub commit: String,
    pub context: String,
    pub state: String,
    pub description: String,
    pub target_url: Option<String>,
    /// In how many more answers is it not?
    pub hidden: usize,
}

impl Status {
    fn json(&self, id: usize) -> Value {
        json!({
            "id": id, "state": self.state, "description": self.description, "target_url": self.target_url,
            "context": self.context, "avatar_url": null,
        })
    }

    /// Returns whether both are of one context of a commit; case does not tell contexts apart.
    fn is_of(&self, other: &Self) -> bool {
        self.repository == other.repository
            && self.commit == other.commit
            && self.context.eq_ignore_ascii_case(&other.context)
    }
}

impl State {
    /// Takes a status.
    pub fn status(&mut self, repository: &str, commit: &str, said: &Value) -> Said {
        let text = |key: &str| said[key].as_str().map(str::to_owned);
        let status = Status {
            repository: repository.to_owned(),
            commit: commit.to_owned(),
            context: text("context").unwrap_or_else(|| "default".to_owned()),
            state: text("state").unwrap_or_default(),
            description: text("description").unwrap_or_default(),
            target_url: text("target_url"),
            hidden: self.lag,
        };
        if !["error", "failure", "pending", "success"].contains(&status.state.as_str()) {
            return message(422, "state is not included in the list");
        }
        if self.statuses.iter().filter(|other| other.is_of(&status)).count() >= STATUSES {
            return message(422, "This SHA and context has reached the maximum number of statuses.");
        }
        if status.description.chars().count() > DESCRIPTION {
            return message(422, "description is too long (maximum is 140 characters)");
        }
        let answer = status.json(self.statuses.len());
        self.statuses.push(status);
        Said::json(201, &answer)
    }

    /// Answers with the latest status of each context of a commit, newest first, a page at a time; those that lag
    /// behind show in a later answer.
    pub fn combined(&mut self, heard: &Heard, repository: &str, commit: &str) -> Said {
        let mut latest: Vec<(usize, &Status)> = Vec::new();
        let own = |status: &Status| status.repository == repository && status.commit == commit;
        for (id, status) in self.statuses.iter().enumerate().filter(|(_, one)| own(one) && one.hidden == 0) {
            latest.retain(|(_, other)| !other.is_of(status));
            latest.insert(0, (id, status));
        }
        let number = |name: &str| heard.asked(name).and_then(|text| text.parse().ok());
        let size = number("per_page").unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
        let skipped = size * (number("page").unwrap_or(1).max(1) - 1);
        let page: Vec<Value> =
            latest.iter().skip(skipped).take(size).map(|(id, one)| one.json(*id)).collect();
        let count = latest.len();
        let answer = json!({"state": whole(&latest), "sha": commit, "total_count": count, "statuses": page});
        let next = (skipped + size < count)
            .then(|| format!("<{}?per_page={size}&page={}>; rel=\"next\"", heard.path, skipped / size + 2));
        self.statuses
            .iter_mut()
            .filter(|one| own(one))
            .for_each(|one| one.hidden = one.hidden.saturating_sub(1));
        Said::json(200, &answer).with("link", next)
    }
}

/// Returns the state of a commit as a whole.
fn whole(latest: &[(usize, &Status)]) -> &'static str {
    let any = |states: &[&str]| latest.iter().any(|(_, one)| states.contains(&one.state.as_str()));
    if any(&["error", "failure"]) {
        "failure"
    } else if latest.is_empty() || any(&["pending"]) {
        "pending"
    } else {
        "success"
    }
}

#[tokio::test]
async fn the_latest_status_of_each_context_is_shown_page_by_page_and_may_lag_behind() {
    let scene = crate::app::Scene::new();
    let (api, token) = (scene.hub.api(), scene.hub.state().personal.clone());
    let client = reqwest::Client::new();
    let post = async |context: &str, state: &str| {
        let said = json!({"context": context, "state": state, "description": "queued"});
        let url = format!("{api}/repos/team/shop/statuses/{}", "a".repeat(40));
        client.post(url).bearer_auth(&token).json(&said).send().await.unwrap().status().as_u16()
    };
    let look = async |query: &str| -> Value {
        let url = format!("{api}/repos/team/shop/commits/{}/status{query}", "a".repeat(40));
        client.get(url).bearer_auth(&token).send().await.unwrap().json().await.unwrap()
    };
    assert_eq!(look("").await["state"], "pending");
    for number in 0..101 {
        assert_eq!(post(&format!("windlass/shop@c{number}"), "pending").await, 201);
    }
    assert_eq!(post("Windlass/shop@C7", "success").await, 201);
    assert_eq!(post("windlass/shop@c8", "running").await, 422);
    let (first, second) = (look("?per_page=100").await, look("?per_page=100&page=2").await);
    assert_eq!((&first["state"], &first["total_count"]), (&json!("pending"), &json!(101)));
    let count = |page: &Value| page["statuses"].as_array().unwrap().len();
    assert_eq!((count(&first), count(&second), count(&look("").await)), (100, 1, 30));
    assert_eq!(first["statuses"][0]["state"], "success");
    scene.hub.state().lag = 1;
    assert_eq!(post("windlass/shop@c7", "failure").await, 201);
    assert_eq!(look("").await["statuses"][0]["state"], "success");
    let caught_up = look("").await;
    assert_eq!(
        (&caught_up["statuses"][0]["state"], &caught_up["state"]),
        (&json!("failure"), &json!("failure"))
    );
}
