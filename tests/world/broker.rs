//! A virtual host of its own for each test, made and taken away through the broker's management API.

use std::time::Duration;

use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::queue::rabbit::Options;
use windlass::secret::Secret;

use super::bed;
use super::unique;

/// Which of the bed's brokers the tests are about, as the middle of its variables.
const BROKER: &str = "WINDLASS_TEST_BROKER";

/// What the bed says about the broker: `URL` or `ADMIN_URL`.
fn broker(what: &str) -> &'static str {
    let which = std::env::var(BROKER).unwrap_or_else(|_| "AMQP".to_owned());
    bed(&format!("WINDLASS_BED_{which}_{what}"))
}

pub struct Ground {
    pub vhost: String,
    pub admin: Admin,
}

impl Ground {
    pub async fn new() -> Self {
        let admin = Admin::new();
        let vhost = format!("test-{}", unique());
        admin.ask("PUT", &format!("vhosts/{vhost}"), None).await;
        let all = serde_json::json!({"configure": ".*", "write": ".*", "read": ".*"});
        admin.ask("PUT", &format!("permissions/{vhost}/{}", admin.user), Some(all)).await;
        Self { vhost, admin }
    }

    /// The address of this ground at `authority`, by default the broker itself.
    pub fn url(&self, authority: Option<&str>) -> String {
        let Admin { user, password, .. } = &self.admin;
        let authority = authority.unwrap_or_else(|| self.admin.authority());
        format!("amqp://{user}:{password}@{authority}/{}", self.vhost)
    }

    /// The same over TLS.
    pub fn tls_url(&self) -> String {
        let (url, _) = broker("TLS_URL").rsplit_once('/').unwrap();
        format!("{url}/{}", self.vhost)
    }

    pub fn password(&self) -> &str {
        &self.admin.password
    }

    pub fn options(&self, worker: &str) -> Options {
        Options {
            lanes: vec![Lane::jobs("shared")],
            ..Options::new(Secret::new(&self.url(None)).unwrap(), worker)
        }
    }

    pub async fn open(&self, lease_for: Duration) -> Queue {
        let options = Options { lease_for, ..self.options("one") };
        Queue::connect(options).await.unwrap()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let (admin, vhost) = (self.admin.clone(), self.vhost.clone());
        // A runtime of its own, since the test's may be the one that panicked.
        let gone = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(admin.ask("DELETE", &format!("vhosts/{vhost}"), None));
        });
        drop(gone.join());
    }
}

/// The management API.
#[derive(Clone)]
pub struct Admin {
    pub user: String,
    password: String,
    authority: String,
    api: String,
    client: reqwest::Client,
}

impl Admin {
    fn new() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let url = broker("URL").strip_prefix("amqp://").unwrap();
        let (user, rest) = url.split_once('@').unwrap();
        let (user, password) = user.split_once(':').unwrap();
        let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
            authority: authority.to_owned(),
            api: format!("{}/api", broker("ADMIN_URL").trim_end_matches('/')),
            client: reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap(),
        }
    }

    pub fn authority(&self) -> &str {
        &self.authority
    }

    pub async fn ask(&self, method: &str, path: &str, body: Option<serde_json::Value>) -> serde_json::Value {
        let request = self.client.request(method.parse().unwrap(), format!("{}/{path}", self.api));
        let request = request.basic_auth(&self.user, Some(&self.password));
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let reply = request.send().await.unwrap();
        assert!(reply.status().is_success(), "{method} {path}: {}", reply.status());
        let text = reply.text().await.unwrap();
        if text.is_empty() { serde_json::Value::Null } else { serde_json::from_str(&text).unwrap() }
    }
}
