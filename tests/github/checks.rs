//! What becomes of commits, shown as check runs, with a real store; all times are given.

use std::collections::BTreeMap;

use windlass::application::Name;
use windlass::application::Target;
use windlass::commit::CommitId;
use windlass::commit::Inputs;
use windlass::courier::Credential;
use windlass::forge::Answer;
use windlass::forge::Kind;
use windlass::forge::StatusPost;
use windlass::moment::Moment;
use windlass::object::ObjectId;
use windlass::object::Place;
use windlass::outcome::Phase;
use windlass::outcome::Problem;
use windlass::outcome::Progress;
use windlass::outcome::Report;
use windlass::outcome::Tally;
use windlass::outcome::Told;
use windlass::outcome::VERSION;
use windlass::report::Address;
use windlass::report::Poster;
use windlass::secret::Secret;
use windlass::store::Posting;
use windlass::store::Store;

use crate::app::SHOP;
use crate::app::Scene;
use crate::runs::Run;
use crate::stand::Fault;
use crate::statuses::Status;

const NOW: Moment = Moment(1_000_000_000);
/// A little more than the second between two requests.
const SECOND: u64 = 1_200;
/// How many turns may something take?
const TURNS: u64 = 400;

struct Station {
    scene: Scene,
    folder: tempfile::TempDir,
    store: Store,
    poster: Poster,
    now: Moment,
}

impl Station {
    async fn new() -> Self {
        let (scene, folder) = (Scene::new(), tempfile::tempdir().unwrap());
        let (store, poster) = Self::open(&scene, &folder).await;
        Self { scene, folder, store, poster, now: NOW }
    }

    async fn open(scene: &Scene, folder: &tempfile::TempDir) -> (Store, Poster) {
        let store = Store::open(&folder.path().join("store.db")).await.unwrap();
        let address = Address {
            forge: Kind::Github.rules(),
            api: scene.hub.api(),
            repository: SHOP.to_owned(),
            credential: Some(Credential::App(scene.app.clone())),
            folders: BTreeMap::from([(target("east"), "deploy/east".to_owned())]),
        };
        let addresses = BTreeMap::from([(name("shop"), address)]);
        let poster = Poster::new(store.clone(), scene.courier.clone(), addresses, None);
        (store, poster)
    }

    async fn reopen(&mut self) {
        let (store, poster) = Self::open(&self.scene, &self.folder).await;
        drop(std::mem::replace(&mut self.poster, poster));
        std::mem::replace(&mut self.store, store).close().await;
    }

    async fn record(&self, what: Told) {
        self.store.record(&Report { version: VERSION, at: Moment(5_100), what }).await.unwrap();
    }

    async fn dispatch(&self, dispatch: &str, clusters: &[&str]) {
        let targets = clusters.iter().map(|cluster| target(cluster)).collect();
        let (dispatch, source, commit) = (dispatch.to_owned(), name("shop"), commit());
        self.record(Told::Roster { dispatch, source, commit, targets, received_at: Moment(1_000) }).await;
    }

    async fn run(&self, dispatch: &str, phase: Phase, problems: Vec<Problem>) {
        let progress = Progress {
            run: format!("run-of-{dispatch}"),
            dispatch: dispatch.to_owned(),
            source: name("shop"),
            target: target("east"),
            commit: commit(),
            inputs: Inputs("tree".into()),
            phase,
            changes: Vec::new(),
            tally: Tally { created: 1, ..Tally::default() },
            problems,
            received_at: Moment(1_000),
            rollback_from: None,
        };
        self.record(Told::Run(progress)).await;
    }

    /// Posts once, and lets a moment pass.
    async fn turn(&mut self) {
        self.poster.step(self.now).await.unwrap();
        self.now = self.now.plus(SECOND);
    }

    /// Posts until nothing is due any more.
    async fn settle(&mut self) {
        for _ in 0..TURNS {
            let Some(next) = self.store.next_due().await.unwrap() else { return };
            self.now = self.now.max(next);
            self.turn().await;
        }
        panic!("statuses are still due");
    }

    fn runs(&self, name: &str) -> Vec<Run> {
        self.scene.hub.state().runs.iter().filter(|run| run.name == name).cloned().collect()
    }

    /// Returns the one check run of the target.
    #[track_caller]
    fn only(&self) -> Run {
        let mut runs = self.runs(EAST);
        assert_eq!(runs.len(), 1, "{runs:#?}");
        runs.remove(0)
    }

    fn asked(&self, what: &str) -> usize {
        self.scene.hub.heard().iter().filter(|line| line.contains(what)).count()
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        let is_open = |state: &String| ["queued", "in_progress"].contains(&state.as_str());
        for run in &self.scene.hub.state().runs {
            let ends: Vec<&String> = run.states.iter().skip_while(|state| is_open(state)).collect();
            let stays = ends.windows(2).all(|pair| pair[0] == pair[1]);
            assert!(stays || std::thread::panicking(), "{} moved after its end: {:?}", run.name, run.states);
        }
    }
}

const EAST: &str = "windlass/shop@east";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn target(cluster: &str) -> Target {
    Target { application: name("shop"), cluster: name(cluster) }
}

fn commit() -> CommitId {
    CommitId::parse(&"a".repeat(40)).unwrap()
}

fn problems(count: usize) -> Vec<Problem> {
    let problem = |number| {
        let object = ObjectId {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: None,
            name: format!("c{number}"),
        };
        let place = Place { file: "web.yaml".into(), document: number, line: number };
        Problem { object: Some(object), place: Some(place), message: format!("refused {number}") }
    };
    (1..=count).map(problem).collect()
}

#[tokio::test]
async fn a_commit_is_shown_from_queued_to_its_end_by_one_check_run_for_each() {
    let mut station = Station::new().await;
    station.dispatch("d1", &["east"]).await;
    station.settle().await;
    assert_eq!(station.only().states, ["queued"]);
    assert_eq!(station.runs("windlass")[0].states, ["in_progress"]);
    for phase in [Phase::Running, Phase::Applied, Phase::Healthy] {
        station.run("d1", phase, Vec::new()).await;
        station.settle().await;
        station.reopen().await;
    }
    let run = station.only();
    assert_eq!(run.states, ["queued", "in_progress", "in_progress", "success"]);
    assert_eq!(run.title, "1 created, healthy in 4.1 s");
    assert_eq!(station.runs("windlass").len(), 1);
    assert_eq!(station.runs("windlass")[0].states, ["in_progress", "success"]);
    assert_eq!(station.scene.hub.state().statuses, Vec::<Status>::new());
    station.settle().await;
}

#[tokio::test]
async fn a_failure_is_told_at_the_lines_of_its_manifests() {
    let mut station = Station::new().await;
    station.dispatch("d1", &["east"]).await;
    let mut all = problems(2);
    all[1].place = None;
    station.run("d1", Phase::Failed, all).await;
    station.settle().await;
    let run = station.only();
    assert_eq!(run.conclusion.as_deref(), Some("failure"));
    assert_eq!(run.title, "ConfigMap/c1: refused 1 (and 1 more)");
    assert!(run.summary.contains("ConfigMap/c2: refused 2"), "{}", run.summary);
    assert_eq!(run.annotations.len(), 1);
    assert_eq!(run.annotations[0]["path"], "deploy/east/web.yaml");
    assert_eq!(run.annotations[0]["start_line"], 1);
    assert_eq!(station.runs("windlass")[0].conclusion.as_deref(), Some("failure"));
}

#[tokio::test]
async fn a_hundred_lines_are_told_once_each_whatever_gets_lost() {
    for lost in ["POST /repos/team/shop/check-runs", "PATCH /repos/team/shop/check-runs/"] {
        let mut station = Station::new().await;
        station.dispatch("d1", &["east"]).await;
        station.run("d1", Phase::Failed, problems(100)).await;
        station.scene.hub.befall(lost, Fault::Swallowed);
        station.settle().await;
        let run = station.only();
        assert_eq!(run.states, ["in_progress", "failure"], "{lost}");
        let lines: Vec<u64> = run.annotations.iter().map(|one| one["start_line"].as_u64().unwrap()).collect();
        assert_eq!(lines, (1..=100).collect::<Vec<u64>>(), "{lost}");
    }
}

#[tokio::test]
async fn a_check_run_whose_answer_was_lost_is_found_again_also_after_a_restart() {
    for restart in [false, true] {
        let mut station = Station::new().await;
        station.dispatch("d1", &["east"]).await;
        station.scene.hub.befall("POST /repos/team/shop/check-runs", Fault::Swallowed);
        station.turn().await;
        assert_eq!(station.scene.hub.state().runs.len(), 1);
        if restart {
            station.reopen().await;
        }
        let lost = station.now;
        assert!(station.store.next_due().await.unwrap().unwrap().since(lost) > 5_000, "lists lag behind");
        station.run("d1", Phase::Healthy, Vec::new()).await;
        station.settle().await;
        assert_eq!(station.only().states, ["queued", "success"]);
        assert_eq!(station.asked("/commits/"), 1);
    }
}

#[tokio::test]
async fn a_crash_before_the_answer_shows_nothing_twice() {
    let mut station = Station::new().await;
    station.dispatch("d1", &["east"]).await;
    station.scene.hub.befall("POST /repos/team/shop/check-runs", Fault::Unanswered);
    let hub = station.scene.hub.clone();
    let arrived = async {
        while hub.state().runs.is_empty() {
            // why: the stand-in gives no sign when it has done something.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        posted = station.poster.step(station.now) => panic!("{posted:?}"),
        () = arrived => {}
    }
    station.reopen().await;
    station.run("d1", Phase::Healthy, Vec::new()).await;
    station.settle().await;
    assert_eq!(station.only().states, ["queued", "success"]);
    assert_eq!(station.runs("windlass").len(), 1);
}

#[tokio::test]
async fn a_check_run_that_never_arrived_is_made_when_it_is_not_found() {
    let mut station = Station::new().await;
    station.dispatch("d1", &["east"]).await;
    station
        .scene
        .hub
        .befall("POST /repos/team/shop/check-runs", Fault::Refused("502 Bad Gateway", "", "<html>"));
    station.settle().await;
    assert_eq!(station.only().states, ["queued"]);
    assert_eq!(station.asked("/commits/"), 1);
}

#[tokio::test]
async fn an_end_that_arrived_unheard_is_not_told_again() {
    let mut station = Station::new().await;
    station.dispatch("d1", &["east"]).await;
    station.settle().await;
    station.run("d1", Phase::Healthy, Vec::new()).await;
    station.scene.hub.befall("PATCH", Fault::Swallowed);
    station.settle().await;
    let ends = |run: Run| run.states.iter().filter(|state| *state == "success").count();
    assert_eq!(ends(station.only()), 1);
    assert_eq!(station.runs("windlass").len(), 1);
    assert_eq!(station.asked("GET /repos/team/shop/check-runs/"), 1);
}

#[tokio::test]
async fn what_has_ended_is_left_and_what_begins_anew_is_shown_in_its_place() {
    let mut station = Station::new().await;
    station.dispatch("d1", &["east"]).await;
    station.run("d1", Phase::Failed, problems(1)).await;
    station.settle().await;
    // Another dispatch heals the target, and one more target is called for the same commit.
    station.run("d2", Phase::Healthy, Vec::new()).await;
    station.settle().await;
    station.dispatch("d3", &["east", "west"]).await;
    station.settle().await;
    let shown: Vec<Vec<String>> = station.runs(EAST).into_iter().map(|run| run.states).collect();
    assert_eq!(shown, [["failure"], ["success"]]);
    let shown: Vec<Vec<String>> = station.runs("windlass").into_iter().map(|run| run.states).collect();
    assert_eq!(shown, [["failure"], ["success"], ["in_progress"]]);
    let keys: Vec<String> = station.scene.hub.state().runs.iter().map(|run| run.key.clone()).collect();
    let mut unique = keys.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), keys.len());
}

#[tokio::test]
async fn a_check_run_that_was_deleted_is_made_anew() {
    let mut station = Station::new().await;
    station.dispatch("d1", &["east"]).await;
    station.settle().await;
    station.scene.hub.state().runs.clear();
    station.run("d1", Phase::Healthy, Vec::new()).await;
    station.settle().await;
    assert_eq!(station.only().states, ["success"]);
}

#[tokio::test]
async fn an_app_that_may_not_holds_back_its_source_and_says_what_to_do() {
    let mut station = Station::new().await;
    let permissions = |station: &Station, extent| {
        let mut state = station.scene.hub.state();
        state.installations.get_mut(SHOP).unwrap().permissions.insert("checks", extent);
    };
    permissions(&station, "read");
    station.dispatch("d1", &["east"]).await;
    station.turn().await;
    station.turn().await;
    assert_eq!((station.asked("access_tokens"), station.scene.hub.state().runs.len()), (1, 0));
    let statuses = station.store.statuses(&name("shop"), &commit()).await.unwrap();
    let why = statuses.iter().find_map(|status| match &status.posting {
        Posting::Waiting { why, .. } => why.clone(),
        Posting::Posted(_) | Posting::GivenUp(_) | Posting::Withheld => None,
    });
    assert!(why.as_ref().is_some_and(|why| why.contains("checks: write")), "{why:?}");
    permissions(&station, "write");
    station.settle().await;
    assert_eq!(station.only().states, ["queued"]);
}

#[tokio::test]
async fn a_limit_is_waited_for_and_nothing_is_shown_twice() {
    let mut station = Station::new().await;
    station.dispatch("d1", &["east"]).await;
    let words = "{\"message\": \"You have exceeded a secondary rate limit.\"}";
    station.scene.hub.befall("POST /repos/team/shop/check-runs", Fault::Refused("403 Wait", "", words));
    let began = station.now;
    station.turn().await;
    assert!(station.store.next_due().await.unwrap().unwrap().since(began) >= 60_000);
    station.settle().await;
    assert_eq!(station.only().states, ["queued"]);
    // What was refused did not arrive, so nothing is looked for.
    assert_eq!(station.asked("GET /repos/team/shop/c"), 0);
}

#[tokio::test]
async fn a_long_story_is_cut_to_what_github_takes() {
    let mut station = Station::new().await;
    station.dispatch("d1", &["east"]).await;
    let mut all = problems(90);
    all.iter_mut().for_each(|problem| problem.message = "é".repeat(5_000));
    station.run("d1", Phase::Failed, all).await;
    station.settle().await;
    let run = station.only();
    assert_eq!((run.conclusion.as_deref(), run.annotations.len()), (Some("failure"), 90));
    assert!(run.summary.ends_with('…') && run.summary.len() <= 65_535);
}

#[tokio::test]
async fn by_a_token_there_are_statuses_and_no_more_than_github_takes() {
    let scene = Scene::new();
    let token = Secret::new(&scene.hub.state().personal.clone()).unwrap();
    let (rules, commit) = (Kind::Github.rules(), commit());
    let request = rules.describe(&StatusPost {
        api: &scene.hub.api(),
        repository: SHOP,
        commit: &commit,
        context: "windlass",
        phase: Phase::Failed,
        description: &"ä".repeat(200),
        target_url: None,
    });
    let post = async || {
        scene.courier.send(&request, &token, |answer| rules.classify(&request, answer)).await.unwrap()
    };
    assert_eq!(post().await, Answer::Taken);
    let told = scene.hub.state().statuses[0].clone();
    assert_eq!((told.state.as_str(), told.description.chars().count()), ("failure", 140));
    scene.hub.state().statuses.extend(vec![told; 999]);
    let refused = post().await;
    assert!(
        matches!(&refused, Answer::Never(why) if why.contains("maximum number of statuses")),
        "{refused:?}"
    );
}
