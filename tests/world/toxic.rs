//! A line to a server that a test can cut or silence, by the bed's fault proxy.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use super::bed;
use super::unique;

/// One proxy in front of a server; it is gone with the test.
pub struct Toxic {
    name: String,
    /// Where it listens.
    pub authority: String,
    client: reqwest::Client,
}

impl Toxic {
    /// Stands in front of the server at an authority.
    pub async fn before(upstream: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let name = format!("rabbit-{}", unique());
        let mut toxic = Self { name, authority: String::new(), client };
        let proxy =
            json!({"name": toxic.name, "listen": "127.0.0.1:0", "upstream": upstream, "enabled": true});
        let made = toxic.ask("POST", "proxies", Some(proxy)).await;
        made["listen"].as_str().unwrap().clone_into(&mut toxic.authority);
        toxic
    }

    /// Ends all connections and refuses new ones.
    pub async fn cut(&self) {
        self.ask("POST", &format!("proxies/{}", self.name), Some(json!({"enabled": false}))).await;
    }

    /// Lets connections be made again.
    pub async fn mend(&self) {
        self.ask("POST", &format!("proxies/{}", self.name), Some(json!({"enabled": true}))).await;
    }

    /// Lets nothing through any more, and ends nothing.
    pub async fn silence(&self) {
        for stream in ["upstream", "downstream"] {
            self.silence_one(stream).await;
        }
    }

    /// Lets nothing through in one direction: `upstream` is to the server.
    pub async fn silence_one(&self, stream: &str) {
        let toxic =
            json!({"name": stream, "type": "timeout", "stream": stream, "attributes": {"timeout": 0}});
        self.ask("POST", &format!("proxies/{}/toxics", self.name), Some(toxic)).await;
    }

    /// Lets everything through in one direction again.
    pub async fn speak_one(&self, stream: &str) {
        self.ask("DELETE", &format!("proxies/{}/toxics/{stream}", self.name), None).await;
    }

    /// Lets everything take longer, in each direction.
    pub async fn delay(&self, by: Duration) {
        for stream in ["upstream", "downstream"] {
            let attributes = json!({"latency": by.as_millis()});
            let toxic =
                json!({"name": stream, "type": "latency", "stream": stream, "attributes": attributes});
            self.ask("POST", &format!("proxies/{}/toxics", self.name), Some(toxic)).await;
        }
    }

    /// Lets everything through again.
    pub async fn speak(&self) {
        for stream in ["upstream", "downstream"] {
            self.speak_one(stream).await;
        }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}/{path}", bed("WINDLASS_BED_TOXIPROXY_URL"));
        let request = self.client.request(method.parse().unwrap(), url);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let reply = request.send().await.unwrap();
        assert!(reply.status().is_success(), "{method} {path}: {}", reply.status());
        let text = reply.text().await.unwrap();
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }
}

impl Drop for Toxic {
    fn drop(&mut self) {
        let url = format!("{}/proxies/{}", bed("WINDLASS_BED_TOXIPROXY_URL"), self.name);
        let gone = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            drop(runtime.block_on(client.delete(url).send()));
        });
        drop(gone.join());
    }
}
