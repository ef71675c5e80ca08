//! Statuses on their way to forges that take only so many, with a real store; all times are given.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;
use std::path::PathBuf;

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
use windlass::store::Store;

#[allow(dead_code, reason = "the tests of the whole station use more of it")]
mod far;

/// When the tests begin to post.
const NOW: Moment = Moment(1_000_000_000);
const LATER: Moment = Moment(i64::MAX);

/// A little more than the second between two writes: a step takes a moment itself.
const SECOND: u64 = 1_200;
const HOUR: u64 = 3_600_000;

struct Station {
    folder: tempfile::TempDir,
    store: Store,
    poster: Poster,
    addresses: BTreeMap<Name, Address>,
}

impl Station {
    async fn new(sources: &[(&str, Kind, &far::Forge)]) -> Self {
        let address = |source: &str, kind: Kind, forge: &far::Forge| Address {
            forge: kind.rules(),
            api: forge.api.clone(),
            repository: format!("team/{source}"),
            credential: Some(Credential::Token(Secret::new("a token that writes statuses").unwrap())),
            folders: BTreeMap::new(),
        };
        let addresses =
            sources.iter().map(|(source, kind, forge)| (name(source), address(source, *kind, forge)));
        Self::open(tempfile::tempdir().unwrap(), addresses.collect()).await
    }

    async fn open(folder: tempfile::TempDir, addresses: BTreeMap<Name, Address>) -> Self {
        let path: PathBuf = folder.path().join("store.db");
        let store = Store::open(&path).await.unwrap();
        let near = addresses.values().map(|address| address.api.as_str());
        let courier = Courier::new().unwrap().near(near);
        let poster = Poster::new(store.clone(), courier, addresses.clone(), None);
        Self { folder, store, poster, addresses }
    }

    async fn reopen(self) -> Self {
        let Self { folder, store, poster, addresses } = self;
        drop(poster);
        store.close().await;
        Self::open(folder, addresses).await
    }

    async fn hear(&self, source: &str, commit: usize, targets: &[usize], phase: Phase) {
        for what in told(source, commit, targets, phase) {
            self.store.record(&Report { version: VERSION, at: Moment(5_100), what }).await.unwrap();
        }
    }

    async fn post(&self, now: Moment) -> (u32, u32, u32) {
        let Posted { taken, put_off, given_up } = self.poster.step(now).await.unwrap();
        (taken, put_off, given_up)
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn told(source: &str, commit: usize, targets: &[usize], phase: Phase) -> Vec<Told> {
    let target = |number: &usize| Target { application: name(source), cluster: name(&format!("c{number}")) };
    let id = CommitId::parse(&format!("{:040x}", commit + 1)).unwrap();
    let dispatch = format!("d{commit}");
    if phase == Phase::Pending {
        let targets = targets.iter().map(target).collect();
        return vec![Told::Roster {
            dispatch,
            source: name(source),
            commit: id,
            targets,
            received_at: Moment(1_000),
        }];
    }
    let run = |number: &usize| Progress {
        run: format!("r-{source}-{commit}-{number}"),
        dispatch: dispatch.clone(),
        source: name(source),
        target: target(number),
        commit: id.clone(),
        inputs: Inputs("tree".into()),
        phase,
        changes: Vec::new(),
        tally: Tally { created: 1, ..Tally::default() },
        problems: Vec::new(),
        received_at: Moment(1_000),
        rollback_from: None,
    };
    targets.iter().map(|number| Told::Run(run(number))).collect()
}

#[tokio::test]
async fn github_is_written_to_once_a_second_by_all_its_sources_and_others_are_not_held_up() {
    let (github, gitea) = (far::Forge::start().await, far::Forge::start().await);
    let sources =
        [("shop", Kind::Github, &github), ("blog", Kind::Github, &github), ("docs", Kind::Gitea, &gitea)];
    let station = Station::new(&sources).await;
    for source in ["shop", "blog", "docs"] {
        station.hear(source, 1, &[1], Phase::Pending).await;
    }
    assert_eq!(station.post(NOW).await, (3, 3, 0));
    assert_eq!((github.heard().len(), gitea.heard().len()), (1, 2));
    assert_eq!(station.post(NOW.plus(900)).await, (0, 0, 0));
    let waiting = station.store.due(LATER, 10).await.unwrap();
    assert_eq!(waiting.iter().map(|due| due.tries).collect::<Vec<_>>(), [0, 0, 0]);
    for turn in 1..=3 {
        assert_eq!(station.post(NOW.plus(turn * SECOND)).await.0, 1);
        assert_eq!(github.heard().len(), 1);
    }
    assert_eq!(station.store.next_due().await.unwrap(), None);
}

#[tokio::test]
async fn github_is_written_to_five_hundred_times_an_hour_also_after_a_restart() {
    let github = far::Forge::start().await;
    let mut station = Station::new(&[("shop", Kind::Github, &github)]).await;
    for commit in 0..26 {
        station.hear("shop", commit, &(0..20).collect::<Vec<_>>(), Phase::Pending).await;
    }
    let mut now = NOW;
    for _ in 0..500 {
        assert_eq!(station.post(now).await.0, 1);
        now = now.plus(SECOND);
    }
    assert_eq!(station.post(now).await.0, 0);
    station = station.reopen().await;
    assert_eq!(station.post(NOW.plus(HOUR - 1)).await.0, 0);
    assert_eq!(station.post(NOW.plus(HOUR + SECOND)).await.0, 1);
    assert_eq!(github.heard().len(), 501);
}

#[tokio::test]
async fn a_forge_that_took_the_last_one_is_left_alone_until_it_takes_more_also_after_a_restart() {
    let github = far::Forge::start().await;
    let mut station = Station::new(&[("shop", Kind::Github, &github), ("blog", Kind::Github, &github)]).await;
    station.hear("shop", 1, &[1], Phase::Pending).await;
    station.hear("blog", 1, &[1], Phase::Pending).await;
    let reset = windlass::clock::now().0 / 1_000 + 600;
    github.answer(&[&format!("201 Created\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: {reset}")]);
    assert_eq!(station.post(NOW).await.0, 1);
    assert_eq!(station.post(NOW.plus(SECOND)).await, (0, 0, 0));
    station = station.reopen().await;
    assert_eq!(station.post(NOW.plus(590_000)).await, (0, 0, 0));
    let waiting = station.store.due(LATER, 10).await.unwrap();
    assert_eq!(waiting.iter().map(|due| due.tries).collect::<Vec<_>>(), [0, 0, 0]);
    for turn in 0..3 {
        assert_eq!(station.post(NOW.plus(602_000 + turn * SECOND)).await.0, 1);
    }
    assert_eq!(github.heard().len(), 4);
}

#[tokio::test]
async fn limits_without_a_time_are_waited_for_twice_as_long_each_time_and_forgotten_when_they_are_over() {
    let github = far::Forge::start().await;
    let station = Station::new(&[("shop", Kind::Github, &github), ("blog", Kind::Github, &github)]).await;
    station.hear("shop", 1, &[1], Phase::Pending).await;
    station.hear("blog", 1, &[1], Phase::Pending).await;
    let mut now = NOW;
    for minutes in [1, 2, 4] {
        github.answer(&["429 Too Many Requests"]);
        assert_eq!(station.post(now).await.0, 0);
        assert_eq!(github.heard().len(), 1, "also the other source is left alone");
        assert_eq!(station.post(now.plus(minutes * 60_000 - 1_000)).await, (0, 0, 0));
        now = now.plus(minutes * 60_000 + SECOND);
    }
    assert_eq!(station.post(now).await.0, 1);
    github.answer(&["429 Too Many Requests"]);
    assert_eq!(station.post(now.plus(SECOND)).await.0, 0);
    assert_eq!(station.post(now.plus(SECOND + 61_000)).await.0, 1);
    assert_eq!(github.looked(), Vec::<String>::new(), "what is limited did not arrive");
}

#[tokio::test]
async fn what_lags_behind_is_looked_at_no_sooner_than_it_may_show() {
    let github = far::Forge::start().await;
    let mut station = Station::new(&[("shop", Kind::Github, &github)]).await;
    station.hear("shop", 1, &[1], Phase::Pending).await;
    github.answer(&[far::LOST]);
    assert_eq!(station.post(NOW).await.0, 0);
    station = station.reopen().await;
    assert_eq!(station.post(NOW.plus(9_000)).await.0, 0);
    assert_eq!(github.looked().len(), 0);
    for turn in 0..2 {
        assert_eq!(station.post(NOW.plus(12_000 + turn * SECOND)).await.0, 1);
    }
    assert_eq!((github.heard().len(), github.looked().len()), (2, 1));
}

/// What was posted, and when.
type Heard = Vec<(Moment, String)>;

/// Posts until nothing waits, from `now` on.
async fn post_all(station: &Station, forge: &far::Forge, mut now: Moment, heard: &mut Heard) {
    for _ in 0..3_000 {
        let Some(next) = station.store.next_due().await.unwrap() else { return };
        now = now.max(next);
        station.post(now).await;
        heard.extend(forge.heard().into_iter().map(|line| (now, line)));
        now = now.plus(SECOND);
    }
    panic!("statuses are still waiting");
}

#[tokio::test]
async fn a_thousand_verdicts_that_waited_for_a_forge_and_a_restart_are_all_posted_once_and_in_order() {
    let github = far::Forge::start().await;
    let mut station = Station::new(&[("shop", Kind::Github, &github)]).await;
    // A target for each, so that a context tells which commit it is of.
    let targets = |commit: usize| (commit * 20..commit * 20 + 20).collect::<Vec<_>>();
    for commit in 0..50 {
        station.hear("shop", commit, &targets(commit), Phase::Pending).await;
    }
    let mut heard = Heard::new();
    for turn in 0..30 {
        station.post(NOW.plus(turn * SECOND)).await;
    }
    heard.extend(github.heard().into_iter().map(|line| (NOW, line)));
    assert_eq!(heard.len(), 30);

    let gone = NOW.plus(60_000);
    github.answer(&[""; 600]);
    for second in 0..300 {
        station.post(gone.plus(second * 2_000)).await;
        if second < 50 {
            let commit = usize::try_from(second).unwrap();
            station.hear("shop", commit, &targets(commit), Phase::Healthy).await;
        }
        if second == 150 {
            station = station.reopen().await;
        }
    }
    // What may have arrived is looked for first.
    let tried = github.heard().len() + github.looked().len();
    assert!((3..60).contains(&tried), "{tried} tries while nobody was there");
    github.answers_normally();
    let back = gone.plus(600_000);
    let mut after = Heard::new();
    post_all(&station, &github, back, &mut after).await;

    // 1,000 targets and 50 commits as a whole, each with its verdict and nothing before it.
    assert_eq!(after.len(), 1_050);
    assert!(after.iter().all(|(_, line)| line.contains(" success windlass")), "{after:?}");
    let mut contexts: Vec<&str> = after.iter().filter_map(|(_, line)| line.split('@').nth(1)).collect();
    contexts.sort_unstable();
    contexts.dedup();
    assert_eq!(contexts.len(), 1_000);
    for window in after.windows(2) {
        assert!(window[1].0.since(window[0].0) >= 1_000, "{window:?}");
    }
    for window in after.windows(501) {
        assert!(window[500].0.since(window[0].0) >= HOUR, "more than 500 an hour");
    }
}
