//! The four pushes of the demo, what must follow each, and how that is checked.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tokio::sync::mpsc;
use windlass::commit::CommitId;

use crate::cluster::Held;
use crate::news::News;
use crate::news::Sender;
use crate::news::now;
use crate::screen::Screen;
use crate::stage::Stage;

/// For how long is news held back, so that three witnesses are heard in the order of what they saw?
const HOLD_BACK: Duration = Duration::from_millis(80);

/// How long between two looks at news that was held back?
const SHOW_EVERY: Duration = Duration::from_millis(20);

/// For how long after the last step may something happen that should not?
const QUIET_FOR: Duration = Duration::from_millis(200);

/// Plays all four; panics with what did not happen.
pub async fn play(stage: Arc<Stage>, screen: Screen) {
    let (sender, news) = mpsc::unbounded_channel();
    let sender = Sender(sender);
    stage.cluster.follow(&sender).await;
    tokio::spawn(listen(Arc::clone(&stage), sender.clone()));
    let mut play = Play { stage, screen, sender, news, number: 0 };
    play.create().await;
    let applied = play.change().await;
    play.break_it().await;
    play.heal(&applied).await;
}

/// Passes windlass's log on.
async fn listen(stage: Arc<Stage>, sender: Sender) {
    let mut feed = stage.feed().await;
    loop {
        let line = feed.next().await;
        if let Some(news) = News::read(&line) {
            sender.tell(news);
        }
    }
}

struct Play {
    stage: Arc<Stage>,
    screen: Screen,
    sender: Sender,
    news: mpsc::UnboundedReceiver<News>,
    number: usize,
}

type Files = Vec<(&'static str, Option<String>)>;

impl Play {
    async fn create(&mut self) {
        let files: Files = vec![
            ("settings.yaml", Some(config_map("settings", "colour", "green"))),
            ("notice.yaml", Some(config_map("notice", "text", "opening soon"))),
            ("web.yaml", Some(web(8080))),
        ];
        let objects =
            ["ConfigMap/notice", "ConfigMap/settings", "Deployment/web", "Service/web", "ServiceAccount/web"];
        let mut expected = objects.map(|object| format!("created {object}")).to_vec();
        expected.push("healthy Deployment/web".to_owned());
        let commit = self.act("A push creates", &files, &expected, "success").await;
        let held = self.holds(&objects).await;
        assert_eq!(held["ConfigMap/settings"]["data"], json!({ "colour": "green" }));
        self.agrees(&commit, "success", "all five objects are there, labelled as members").await;
    }

    async fn change(&mut self) -> CommitId {
        let before = self.stage.cluster.held().await;
        let files: Files =
            vec![("settings.yaml", Some(config_map("settings", "colour", "blue"))), ("notice.yaml", None)];
        let expected = ["configured ConfigMap/settings", "pruned ConfigMap/notice"].map(str::to_owned);
        let commit =
            self.act("A push changes one object and removes another", &files, &expected, "success").await;
        let held =
            self.holds(&["ConfigMap/settings", "Deployment/web", "Service/web", "ServiceAccount/web"]).await;
        assert_eq!(held["ConfigMap/settings"]["data"], json!({ "colour": "blue" }));
        for other in ["Deployment/web", "Service/web", "ServiceAccount/web"] {
            assert_eq!(version(&held[other]), version(&before[other]), "{other} was written without need");
        }
        self.agrees(&commit, "success", "one changed, one gone, the other three never written").await;
        commit
    }

    async fn break_it(&mut self) {
        let before = self.stage.cluster.held().await;
        let files: Files = vec![
            ("settings.yaml", Some(config_map("settings", "colour", "red"))),
            ("web.yaml", Some(web(80_800))),
        ];
        let title = "A push that the API server refuses, though half of it is fine";
        let commit = self.act(title, &files, &[], "failure").await;
        let held = self.stage.cluster.held().await;
        assert_eq!(
            versions(&held),
            versions(&before),
            "the cluster was touched by a commit that was refused"
        );
        let said = self.latest(&commit).await;
        let own = said.iter().find(|(context, _)| context.contains("shop@")).map(|(_, status)| status);
        let words = own.and_then(|status| status["description"].as_str()).unwrap_or_default();
        assert!(
            words.contains("Invalid value") && words.contains("80800"),
            "not the server's words: {words}"
        );
        self.agrees(&commit, "failure", "every resourceVersion is as before, windlass's own record too")
            .await;
    }

    /// `applied` is the commit that the cluster holds.
    async fn heal(&mut self, applied: &CommitId) {
        self.number += 1;
        self.screen.act(self.number, "Drift by hand, and nobody pushes anything", applied.short());
        self.stage.cluster.tamper("settings", "colour", "grey").await;
        let expected = ["changed by hand ConfigMap/settings", "dispatched", "configured ConfigMap/settings"];
        self.happens(expected.into_iter().map(str::to_owned).collect()).await;
        let held =
            self.holds(&["ConfigMap/settings", "Deployment/web", "Service/web", "ServiceAccount/web"]).await;
        assert_eq!(held["ConfigMap/settings"]["data"], json!({ "colour": "blue" }));
        self.agrees(applied, "success", "the hand's grey is blue again, as in Git, and no status changed")
            .await;
    }

    /// Commits and pushes, and shows what follows until all of it has happened, or the time is over.
    async fn act(&mut self, title: &str, files: &Files, happens: &[String], ends: &str) -> CommitId {
        self.number += 1;
        let commit = self.stage.forge.commit(title, files);
        self.screen.act(self.number, title, commit.short());
        let mut expected: BTreeSet<String> = happens.iter().cloned().collect();
        expected.extend(["accepted", "dispatched"].map(str::to_owned));
        expected.extend([format!("{ends} windlass"), format!("{ends} {}", self.context())]);
        let stage = Arc::clone(&self.stage);
        let pushed = tokio::task::spawn_blocking(move || stage.forge.push());
        let (stage, sender, followed) = (Arc::clone(&self.stage), self.sender.clone(), commit.clone());
        let statuses = tokio::spawn(async move { stage.forge.follow(&followed, &sender).await });
        self.happens(expected).await;
        statuses.abort();
        pushed.await.expect("the push goes through");
        commit
    }

    /// Shows news until all that is expected has happened, and a moment longer.
    async fn happens(&mut self, mut expected: BTreeSet<String>) {
        let mut timeline = Timeline { screen: self.screen.clone(), held_back: Vec::new(), accepted: None };
        let until = tokio::time::Instant::now() + self.stage.place.patience;
        let mut quiet = None;
        let mut tick = tokio::time::interval(SHOW_EVERY);
        while quiet.is_none_or(|quiet| tokio::time::Instant::now() < quiet) {
            tokio::select! {
                news = self.news.recv() => {
                    let news = news.expect("the demo itself can always tell");
                    let is_open = news.key.starts_with("pending ");
                    let is_expected = expected.remove(&news.key) || is_open;
                    timeline.held_back.push(news.clone());
                    if !is_expected {
                        timeline.show(i64::MAX);
                        panic!("this should not have happened: {} {}", news.what, news.detail);
                    }
                    if expected.is_empty() && quiet.is_none() {
                        quiet = Some(tokio::time::Instant::now() + QUIET_FOR);
                    }
                }
                _ = tick.tick() => {
                    let ago = i64::try_from(HOLD_BACK.as_millis()).unwrap();
                    timeline.show(now() - ago);
                }
                () = tokio::time::sleep_until(until), if quiet.is_none() => {
                    timeline.show(i64::MAX);
                    let missing = expected.into_iter().collect::<Vec<_>>().join(", ");
                    let patience = self.stage.place.patience.as_secs();
                    panic!("within {patience} s this did not happen: {missing}");
                }
            }
        }
        timeline.show(i64::MAX);
    }

    fn context(&self) -> String {
        format!("windlass/shop@{}", self.stage.place.cluster)
    }

    /// Makes sure that the cluster holds these objects of the application and no others, and returns them.
    async fn holds(&self, objects: &[&str]) -> Held {
        let held = self.stage.cluster.held().await;
        let found: BTreeSet<&str> = held.keys().map(String::as_str).collect();
        let wanted: BTreeSet<&str> = objects.iter().copied().chain(["ConfigMap/windlass-shop"]).collect();
        assert_eq!(found, wanted, "the cluster holds something else than the commit declares");
        held
    }

    /// Returns the latest status of a commit for each context.
    async fn latest(&self, commit: &CommitId) -> BTreeMap<String, Value> {
        let statuses = self.stage.forge.statuses(commit).await;
        let by_context = statuses.into_iter().map(|one| (one["context"].as_str().unwrap().to_owned(), one));
        by_context.collect()
    }

    /// Makes sure that Gitea holds this verdict, for the target and for the whole, and says what was found.
    async fn agrees(&self, commit: &CommitId, state: &str, found: &str) {
        let latest = self.latest(commit).await;
        let states: Vec<_> = latest.iter().map(|(context, one)| (context.as_str(), &one["status"])).collect();
        let (whole, own, state) = ("windlass", self.context(), Value::from(state));
        assert_eq!(states, [(whole, &state), (own.as_str(), &state)], "Gitea holds other verdicts");
        self.screen.checked(found);
    }
}

/// News on its way to the screen.
struct Timeline {
    screen: Screen,
    held_back: Vec<News>,
    accepted: Option<i64>,
}

impl Timeline {
    /// Shows what happened up to a moment, in order.
    fn show(&mut self, up_to: i64) {
        self.held_back.sort_by_key(|news| news.at);
        for news in self.held_back.extract_if(.., |news| news.at <= up_to) {
            if news.key == "accepted" {
                self.accepted = Some(news.at);
            }
            self.screen.news(&news, self.accepted.map(|accepted| news.at - accepted));
        }
    }
}

fn version(object: &Value) -> (&Value, &Value, &Value) {
    let metadata = &object["metadata"];
    (&metadata["uid"], &metadata["resourceVersion"], &metadata["generation"])
}

fn versions(held: &Held) -> Vec<(&String, (&Value, &Value, &Value))> {
    held.iter().map(|(name, object)| (name, version(object))).collect()
}

fn config_map(name: &str, key: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  {key}: {value}\n")
}

/// A Deployment with its account, and a Service at this port.
fn web(port: u32) -> String {
    format!(
        r#"apiVersion: v1
kind: ServiceAccount
metadata:
  name: web
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector:
    app: web
  ports:
    - port: {port}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
    spec:
      serviceAccountName: web
      containers:
        - name: web
          image: registry.k8s.io/pause:3.10
"#
    )
}
