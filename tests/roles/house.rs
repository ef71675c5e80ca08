//! A virtual host with the users, permissions and policies of `deploy/rabbitmq`, and everything that windlass needs there.

use std::path::Path;

use serde_json::Value;
use serde_json::json;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::queue::rabbit::Options;
use windlass::secret::Secret;

use crate::world::broker::Ground;
use crate::world::unique;

/// The password of every user.
const PASSWORD: &str = "a password of a user of a test";

/// The lanes that there are.
pub const LANES: [&str; 2] = ["prod-eu", "shared"];

/// A broker as `deploy/rabbitmq` makes it. Users are the broker's, so each house has its own.
pub struct House {
    pub ground: Ground,
    id: String,
    users: Vec<String>,
}

impl House {
    pub async fn build() -> Self {
        let mut house = Self { ground: Ground::new().await, id: unique(), users: Vec::new() };
        house.import("definitions.json").await;
        house.import("agent.json").await;
        house
    }

    /// Makes all queues, as the operator would.
    pub async fn furnish(&self) {
        let options = Options { lanes: lanes(), ..self.options("operator", "operator") };
        Queue::connect(options).await.unwrap().close().await;
    }

    async fn import(&mut self, file: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/rabbitmq").join(file);
        let text = std::fs::read_to_string(path).unwrap().replace("LANE", LANES[0]);
        let all: Value = serde_json::from_str(&text).unwrap();
        let (admin, vhost) = (&self.ground.admin, &self.ground.vhost);
        for user in all["users"].as_array().unwrap() {
            assert_eq!(user["password_hash"], "", "nobody can log in before he has a password");
            let name = self.user(user["name"].as_str().unwrap());
            let made = json!({"password": PASSWORD, "tags": ""});
            admin.ask("PUT", &format!("users/{name}"), Some(made)).await;
            self.users.push(name);
        }
        for one in all["permissions"].as_array().unwrap() {
            let user = self.user(one["user"].as_str().unwrap());
            admin.ask("PUT", &format!("permissions/{vhost}/{user}"), Some(one.clone())).await;
        }
        for policy in all["policies"].as_array().into_iter().flatten() {
            let name = policy["name"].as_str().unwrap();
            admin.ask("PUT", &format!("policies/{vhost}/{name}"), Some(policy.clone())).await;
        }
    }

    fn user(&self, name: &str) -> String {
        format!("{name}-{}", self.id)
    }

    /// Returns the broker's address for a user, such as `door` or `agent-prod-eu`.
    pub fn url(&self, user: &str) -> String {
        let user = self.user(&format!("windlass-{user}"));
        let password = PASSWORD.replace(' ', "%20");
        format!("amqp://{user}:{password}@{}/{}", self.ground.admin.authority(), self.ground.vhost)
    }

    pub fn options(&self, user: &str, worker: &str) -> Options {
        Options::new(Secret::new(&self.url(user)).unwrap(), worker)
    }

    /// Connects as a user.
    pub async fn queue(&self, user: &str) -> Queue {
        Queue::connect(self.options(user, user)).await.unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let (admin, users) = (self.ground.admin.clone(), std::mem::take(&mut self.users));
        // A runtime of its own, since the test's may be the one that panicked.
        let gone = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            for user in users {
                runtime.block_on(admin.ask("DELETE", &format!("users/{user}"), None));
            }
        });
        drop(gone.join());
    }
}

/// Returns every lane of the queue.
pub fn lanes() -> Vec<Lane> {
    let mut all = vec![Lane::events(), Lane::reports(), Lane::duty("sweep"), Lane::duty("post")];
    for lane in LANES {
        all.extend([Lane::jobs(lane), Lane::watch(lane), Lane::reports_of(lane), Lane::asks(lane)]);
        all.push(Lane::duty(&format!("patrol.{lane}")));
    }
    all
}
