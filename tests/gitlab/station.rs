//! The report role with a real store, before a stand-in of GitLab; all times are given.

use std::collections::BTreeMap;

use windlass::application::Name;
use windlass::application::Target;
use windlass::commit::CommitId;
use windlass::commit::Inputs;
use windlass::courier::Courier;
use windlass::courier::Credential;
use windlass::forge::Kind;
use windlass::moment::Moment;
use windlass::outcome::Phase;
use windlass::outcome::Progress;
use windlass::outcome::Report;
use windlass::outcome::Tally;
use windlass::outcome::Told;
use windlass::outcome::VERSION;
use windlass::report::Address;
use windlass::report::Posted;
use windlass::report::Poster;
use windlass::secret::Secret;
use windlass::store::Posting;
use windlass::store::Store;

use crate::lab::Lab;
use crate::lab::SHOP;
use crate::lab::TOKEN;

const NOW: Moment = Moment(1_000_000_000);
/// How long lies between two turns?
const TURN: u64 = 300;
/// How many turns may something take?
const TURNS: usize = 4_000;

/// What the applications are in, and where they go.
pub const CLUSTERS: [&str; 3] = ["east", "north", "west"];

pub struct Station {
    pub lab: Lab,
    folder: tempfile::TempDir,
    pub store: Store,
    poster: Poster,
    pub now: Moment,
}

impl Station {
    pub async fn new() -> Self {
        let (lab, folder) = (Lab::start(), tempfile::tempdir().unwrap());
        let (store, poster) = Self::open(&lab, &folder).await;
        Self { lab, folder, store, poster, now: NOW }
    }

    async fn open(lab: &Lab, folder: &tempfile::TempDir) -> (Store, Poster) {
        let store = Store::open(&folder.path().join("store.db")).await.unwrap();
        let address = Address {
            forge: Kind::Gitlab.rules(),
            api: lab.api(),
            repository: SHOP.to_owned(),
            credential: Some(Credential::Token(Secret::new(TOKEN).unwrap())),
            folders: BTreeMap::new(),
        };
        let courier = Courier::new().unwrap().near([lab.api().as_str()]);
        let poster = Poster::new(store.clone(), courier, BTreeMap::from([(name("shop"), address)]), None);
        (store, poster)
    }

    /// Stops and starts anew, with what is on the disk.
    pub async fn reopen(&mut self) {
        let (store, poster) = Self::open(&self.lab, &self.folder).await;
        drop(std::mem::replace(&mut self.poster, poster));
        std::mem::replace(&mut self.store, store).close().await;
    }

    async fn record(&self, what: Told) {
        self.store.record(&Report { version: VERSION, at: Moment(5_100), what }).await.unwrap();
    }

    /// Pushes a commit, and calls its targets.
    pub async fn dispatch(&self, number: usize, clusters: &[&str]) {
        self.lab.push("main", commit(number).as_str());
        self.call(number, clusters).await;
    }

    /// Calls the targets of a commit that is there, or was.
    pub async fn call(&self, number: usize, clusters: &[&str]) {
        self.record(Told::Roster {
            dispatch: format!("d{number}"),
            source: name("shop"),
            commit: commit(number),
            targets: clusters.iter().map(|cluster| target(cluster)).collect(),
            received_at: Moment(1_000),
        })
        .await;
    }

    /// Says how far a target of a commit is.
    pub async fn run(&self, number: usize, cluster: &str, phase: Phase) {
        self.record(Told::Run(Progress {
            run: format!("run-{number}-{cluster}"),
            dispatch: format!("d{number}"),
            source: name("shop"),
            target: target(cluster),
            commit: commit(number),
            inputs: Inputs("tree".into()),
            phase,
            changes: Vec::new(),
            tally: Tally { created: 1, ..Tally::default() },
            problems: Vec::new(),
            received_at: Moment(1_000),
            rollback_from: None,
        }))
        .await;
    }

    /// Posts once, and lets a moment pass.
    pub async fn turn(&mut self) -> Posted {
        self.lab.at(self.now.0);
        let posted = self.poster.step(self.now).await.unwrap();
        self.now = self.now.plus(TURN);
        posted
    }

    /// Posts until nothing is due any more.
    pub async fn settle(&mut self) {
        for _ in 0..TURNS {
            let Some(next) = self.store.next_due().await.unwrap() else { return };
            self.now = self.now.max(next);
            self.turn().await;
        }
        panic!("statuses are still due");
    }

    /// Returns why statuses of a commit were given up.
    pub async fn given_up(&self, number: usize) -> Vec<String> {
        let statuses = self.store.statuses(&name("shop"), &commit(number)).await.unwrap();
        let why = |posting| match posting {
            Posting::GivenUp(why) => Some(why),
            Posting::Posted(_) | Posting::Waiting { .. } | Posting::Withheld => None,
        };
        statuses.into_iter().filter_map(|status| why(status.posting)).collect()
    }

    /// Returns the states that the status of a target went through: of each that was begun.
    pub fn shown(&self, number: usize, cluster: &str) -> Vec<Vec<String>> {
        self.lab.shows(commit(number).as_str(), &format!("windlass/shop@{cluster}"))
    }

    /// Returns the states that the status of the commit as a whole went through.
    pub fn whole(&self, number: usize) -> Vec<Vec<String>> {
        self.lab.shows(commit(number).as_str(), "windlass")
    }

    /// Takes how often something was asked since the last call.
    pub fn asked(&self, what: &str) -> usize {
        self.lab.stand.heard().iter().filter(|line| line.contains(what)).count()
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // GitLab keeps a final status as it is; a windlass that moves it is one that begins a second.
        for status in &self.lab.state().statuses {
            let ends = status.states.iter().filter(|state| is_final(state)).count();
            assert!(ends <= 1 && (ends == 0 || is_final(status.state())), "{status:?}");
        }
    }
}

pub fn is_final(state: &str) -> bool {
    !["created", "pending", "running"].contains(&state)
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn target(cluster: &str) -> Target {
    Target { application: name("shop"), cluster: name(cluster) }
}

pub fn commit(number: usize) -> CommitId {
    CommitId::parse(&format!("{:040x}", number + 1)).unwrap()
}
