//! The store, through its public door, on real files.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::time::Duration;

use windlass::application::Application;
use windlass::application::Name;
use windlass::application::Target;
use windlass::commit::CommitId;
use windlass::commit::Inputs;
use windlass::commit::RefName;
use windlass::fault::Fault;
use windlass::moment::Moment;
use windlass::object::ObjectId;
use windlass::outcome::Action;
use windlass::outcome::Change;
use windlass::outcome::Phase;
use windlass::outcome::Problem;
use windlass::outcome::Progress;
use windlass::outcome::Report;
use windlass::outcome::Tally;
use windlass::outcome::Told;
use windlass::outcome::VERSION;
use windlass::store::Due;
use windlass::store::Memory;
use windlass::store::State;
use windlass::store::Store;

const LATER: Moment = Moment(i64::MAX);

struct Desk {
    folder: tempfile::TempDir,
    store: Store,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).await.unwrap();
        Self { folder, store }
    }

    async fn reopen(self) -> Self {
        let Self { folder, store } = self;
        store.close().await;
        let store = Store::open(&folder.path().join("store.db")).await.unwrap();
        Self { folder, store }
    }

    async fn hear(&self, what: Told) {
        self.store.record(&at(5_000, what)).await.unwrap();
    }

    /// What is due, as a person would read it.
    async fn due(&self) -> Vec<String> {
        self.due_rows().await.iter().map(line).collect()
    }

    async fn due_rows(&self) -> Vec<Due> {
        let mut due = self.store.due(LATER, 1_000).await.unwrap();
        due.sort_by(|a, b| (&a.commit, &a.context).cmp(&(&b.commit, &b.context)));
        due
    }

    async fn post_all(&self) {
        for due in self.due_rows().await {
            self.store.posted(&due, Moment(1)).await.unwrap();
        }
    }

    async fn phases(&self, commit: &CommitId) -> Vec<String> {
        let verdicts = self.store.verdicts(&name("git"), commit).await.unwrap();
        verdicts.iter().map(|v| format!("{} {}", v.target, v.row.phase)).collect()
    }

    async fn state(&self) -> State {
        self.store.memory(&name("git")).await.unwrap()[0].state
    }
}

fn line(due: &Due) -> String {
    format!("{} {}: {}", due.context, due.phase, due.description)
}

fn at(millis: i64, what: Told) -> Report {
    Report { version: VERSION, at: Moment(millis), what }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn commit(digit: char) -> CommitId {
    CommitId::parse(&String::from(digit).repeat(40)).unwrap()
}

fn target(text: &str) -> Target {
    let (application, cluster) = text.split_once('@').unwrap();
    Target { application: name(application), cluster: name(cluster) }
}

fn roster(dispatch: &str, commit: &CommitId, targets: &[&str]) -> Told {
    Told::Roster {
        dispatch: dispatch.into(),
        source: name("git"),
        commit: commit.clone(),
        targets: targets.iter().map(|text| target(text)).collect(),
        received_at: Moment(1_000),
    }
}

fn web() -> ObjectId {
    ObjectId {
        group: "apps".into(),
        kind: "Deployment".into(),
        namespace: Some("shop".into()),
        name: "web".into(),
    }
}

fn progress(run: &str, dispatch: &str, commit: &CommitId, on: &str, phase: Phase) -> Progress {
    let problem = Problem { object: Some(web()), place: None, message: "quota exceeded".into() };
    let bad = matches!(phase, Phase::Failed | Phase::Error);
    let change = |action| Change { object: web(), action, note: None };
    Progress {
        run: run.into(),
        dispatch: dispatch.into(),
        source: name("git"),
        target: target(on),
        commit: commit.clone(),
        inputs: Inputs("tree".into()),
        phase,
        changes: if phase == Phase::Applied { vec![change(Action::Configured)] } else { Vec::new() },
        tally: Tally { created: 1, configured: 3, unchanged: 8, pruned: 0, kept: 0 },
        problems: if bad { vec![problem] } else { Vec::new() },
        received_at: Moment(900),
    }
}

fn run(run: &str, dispatch: &str, commit: &CommitId, phase: Phase) -> Told {
    Told::Run(progress(run, dispatch, commit, "shop@east", phase))
}

fn covered(dispatch: &str, commit: &CommitId, run: &str) -> Told {
    Told::Covered {
        dispatch: dispatch.into(),
        source: name("git"),
        commit: commit.clone(),
        target: target("shop@east"),
        run: run.into(),
    }
}

fn memory(dispatch: &str, commit: &CommitId) -> Memory {
    Memory {
        target: target("shop@east"),
        source: name("git"),
        reference: RefName::parse("refs/heads/main").unwrap(),
        inputs: Inputs("tree".into()),
        commit: commit.clone(),
        definition: 3,
        dispatch: dispatch.into(),
        state: State::Open,
    }
}

#[tokio::test]
async fn a_roster_makes_every_target_and_the_whole_pending() {
    let desk = Desk::new().await;
    desk.hear(roster("d1", &commit('a'), &["shop@east", "shop@west"])).await;
    assert_eq!(
        desk.due().await,
        [
            "windlass pending: rolling out to 2 targets",
            "windlass/shop@east pending: queued",
            "windlass/shop@west pending: queued",
        ]
    );
}

#[tokio::test]
async fn a_run_is_told_step_by_step_and_ends_with_what_it_did() {
    let desk = Desk::new().await;
    let a = commit('a');
    desk.hear(roster("d1", &a, &["shop@east"])).await;
    desk.post_all().await;
    assert_eq!(desk.due().await, Vec::<String>::new());
    desk.hear(run("r1", "d1", &a, Phase::Running)).await;
    assert_eq!(desk.due().await, ["windlass/shop@east running: applying"]);
    desk.post_all().await;
    desk.hear(run("r1", "d1", &a, Phase::Applied)).await;
    assert_eq!(desk.due().await, ["windlass/shop@east applied: 12 objects applied, waiting for health"]);
    desk.hear(run("r1", "d1", &a, Phase::Healthy)).await;
    assert_eq!(
        desk.due().await,
        [
            "windlass healthy: 1 target healthy",
            "windlass/shop@east healthy: 3 configured, 1 created, healthy in 4.1 s",
        ]
    );
    assert_eq!(desk.due_rows().await[1].run.as_deref(), Some("r1"));
}

#[tokio::test]
async fn any_order_of_reports_told_twice_ends_the_same() {
    let a = commit('a');
    let told = [
        roster("d1", &a, &["shop@east"]),
        run("r1", "d1", &a, Phase::Running),
        run("r1", "d1", &a, Phase::Applied),
        run("r1", "d1", &a, Phase::Healthy),
    ];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1], [3, 0, 2, 1]] {
        let desk = Desk::new().await;
        for index in order.into_iter().chain(order) {
            desk.hear(told[index].clone()).await;
        }
        assert_eq!(
            desk.due().await,
            [
                "windlass healthy: 1 target healthy",
                "windlass/shop@east healthy: 3 configured, 1 created, healthy in 4.1 s",
            ],
            "{order:?}"
        );
        let runs = desk.store.runs(None, 10).await.unwrap();
        assert_eq!((runs.len(), runs[0].phase, runs[0].changes.len()), (1, Phase::Healthy, 1), "{order:?}");
    }
}

#[tokio::test]
async fn a_covered_commit_gets_the_verdict_of_the_run_that_answers_for_it() {
    let (a, b) = (commit('a'), commit('b'));
    let told = [
        roster("d1", &a, &["shop@east"]),
        roster("d2", &b, &["shop@east"]),
        covered("d1", &a, "r1"),
        run("r1", "d2", &b, Phase::Applied),
        run("r1", "d2", &b, Phase::Healthy),
    ];
    for order in [[0, 1, 2, 3, 4], [0, 1, 3, 4, 2], [2, 4, 3, 1, 0], [4, 2, 0, 1, 3], [3, 2, 4, 0, 1]] {
        let desk = Desk::new().await;
        for index in order {
            desk.hear(told[index].clone()).await;
        }
        for commit in [&a, &b] {
            assert_eq!(desk.phases(commit).await, ["shop@east healthy"], "{order:?}");
        }
        assert_eq!(desk.due().await.len(), 4, "{order:?}");
    }
}

#[tokio::test]
async fn a_run_of_another_target_answers_for_nobody() {
    let desk = Desk::new().await;
    let a = commit('a');
    desk.hear(covered("d1", &a, "r1")).await;
    let foreign = progress("r1", "d2", &commit('b'), "shop@west", Phase::Healthy);
    desk.hear(Told::Run(foreign)).await;
    assert_eq!(desk.phases(&a).await, ["shop@east pending"]);
}

#[tokio::test]
async fn an_overtaken_commit_is_superseded_at_once_and_names_its_successor() {
    let desk = Desk::new().await;
    let a = commit('a');
    desk.hear(roster("d1", &a, &["shop@east"])).await;
    desk.hear(Told::Superseded {
        dispatch: "d1".into(),
        source: name("git"),
        commit: a.clone(),
        target: target("shop@east"),
        by: commit('b'),
    })
    .await;
    desk.hear(run("r1", "d1", &a, Phase::Running)).await;
    assert_eq!(
        desk.due().await,
        [
            "windlass superseded: 0 of 1 target healthy, 1 superseded",
            "windlass/shop@east superseded: superseded by bbbbbbbbbbbb before it was applied",
        ]
    );
}

#[tokio::test]
async fn a_buried_job_becomes_an_error_that_says_why_and_may_be_healed_by_another_dispatch() {
    let desk = Desk::new().await;
    let a = commit('a');
    desk.hear(roster("d1", &a, &["shop@east", "shop@west"])).await;
    desk.hear(Told::Buried {
        dispatch: "d1".into(),
        source: name("git"),
        commit: a.clone(),
        target: target("shop@east"),
        why: "the job came 20 times without an end".into(),
    })
    .await;
    desk.hear(Told::Run(progress("r2", "d1", &a, "shop@west", Phase::Healthy))).await;
    assert_eq!(
        desk.due().await,
        [
            "windlass error: 1 of 2 targets healthy, 1 in error: shop@east",
            "windlass/shop@east error: the job came 20 times without an end",
            "windlass/shop@west healthy: 3 configured, 1 created, healthy in 4.1 s",
        ]
    );
    desk.hear(run("r3", "d2", &a, Phase::Healthy)).await;
    assert_eq!(desk.phases(&a).await, ["shop@east healthy", "shop@west healthy"]);
    assert_eq!(desk.due().await[0], "windlass healthy: 2 targets healthy");
}

#[tokio::test]
async fn the_outbox_survives_a_restart() {
    let desk = Desk::new().await;
    desk.hear(roster("d1", &commit('a'), &["shop@east"])).await;
    desk.store.posted(&desk.due_rows().await[0], Moment(1)).await.unwrap();
    let desk = desk.reopen().await;
    assert_eq!(desk.due().await, ["windlass/shop@east pending: queued"]);
}

#[tokio::test]
async fn beyond_twenty_targets_only_the_whole_is_told() {
    let names: Vec<String> = (0..21).map(|number| format!("shop@c{number}")).collect();
    let targets: Vec<&str> = names.iter().map(String::as_str).collect();
    let desk = Desk::new().await;
    let a = commit('a');
    desk.hear(roster("d1", &a, &targets)).await;
    assert_eq!(desk.due().await, ["windlass pending: rolling out to 21 targets"]);
    desk.hear(Told::Run(progress("r1", "d1", &a, "shop@c3", Phase::Failed))).await;
    assert_eq!(desk.due().await, ["windlass pending: rolling out to 21 targets"]);
    desk.hear(roster("d2", &commit('b'), &targets[..20])).await;
    assert_eq!(desk.due().await.len(), 1 + 21);
}

#[tokio::test]
async fn a_status_that_a_forge_may_have_heard_of_is_ended_also_beyond_twenty_targets() {
    let names: Vec<String> = (0..21).map(|number| format!("shop@c{number}")).collect();
    let targets: Vec<&str> = names.iter().map(String::as_str).collect();
    let desk = Desk::new().await;
    let a = commit('a');
    desk.hear(roster("d1", &a, &targets[..3])).await;
    let before = desk.due_rows().await;
    desk.store.posted(&before[1], Moment(1)).await.unwrap();
    desk.hear(roster("d1", &a, &targets)).await;
    // The forge answers for this one only after the rest was muted.
    desk.store.postpone(&before[2], Moment(2), "the forge did not answer in time").await.unwrap();
    for on in ["shop@c0", "shop@c1", "shop@c2"] {
        desk.hear(Told::Run(progress(on, "d1", &a, on, Phase::Healthy))).await;
    }
    let contexts: Vec<String> = desk.due_rows().await.into_iter().map(|due| due.context).collect();
    assert_eq!(contexts, ["windlass", "windlass/shop@c0", "windlass/shop@c1"]);
}

#[tokio::test]
async fn a_state_that_comes_while_its_predecessor_is_posted_stays_due() {
    let desk = Desk::new().await;
    let a = commit('a');
    desk.hear(run("r1", "d1", &a, Phase::Running)).await;
    let under_way = desk.due_rows().await;
    desk.hear(run("r1", "d1", &a, Phase::Failed)).await;
    for due in &under_way {
        desk.store.posted(due, Moment(1)).await.unwrap();
    }
    let expected = [
        "windlass failed: 0 of 1 target healthy, 1 failed: shop@east",
        "windlass/shop@east failed: Deployment/shop/web: quota exceeded",
    ];
    assert_eq!(desk.due().await, expected);
    for due in &under_way {
        desk.store.give_up(due, "the forge refused it").await.unwrap();
    }
    assert_eq!(desk.due().await, expected);
    for due in desk.due_rows().await {
        desk.store.give_up(&due, "the forge refused it").await.unwrap();
    }
    assert_eq!(desk.due().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_postponed_status_waits_counts_its_tries_and_comes_in_its_newest_state() {
    let desk = Desk::new().await;
    let a = commit('a');
    desk.hear(run("r1", "d1", &a, Phase::Running)).await;
    for due in desk.due_rows().await {
        desk.store.postpone(&due, Moment(60_000), "the forge is away").await.unwrap();
    }
    assert_eq!(desk.store.due(Moment(59_999), 10).await.unwrap(), []);
    assert_eq!(desk.store.next_due().await.unwrap(), Some(Moment(60_000)));
    desk.hear(run("r1", "d1", &a, Phase::Healthy)).await;
    assert_eq!(desk.store.due(Moment(59_999), 10).await.unwrap(), []);
    let due = desk.due_rows().await;
    assert_eq!((due[1].phase, due[1].tries), (Phase::Healthy, 1));
    desk.store.hold_back(&name("git"), Moment(90_000)).await.unwrap();
    assert_eq!(desk.store.next_due().await.unwrap(), Some(Moment(90_000)));
    desk.post_all().await;
    assert_eq!(desk.store.next_due().await.unwrap(), None);
}

#[tokio::test]
async fn whoever_waits_for_statuses_is_woken_by_the_next_report() {
    let desk = Desk::new().await;
    let store = desk.store.clone();
    let waiting = tokio::spawn(async move { store.wait_due(Moment(0), Duration::from_secs(600)).await });
    desk.hear(roster("d1", &commit('a'), &["shop@east"])).await;
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn only_the_end_of_its_own_dispatch_closes_a_memory() {
    let (a, b) = (commit('a'), commit('b'));
    let cases = [
        (run("r1", "d1", &a, Phase::Healthy), State::Closed),
        (run("r1", "d0", &a, Phase::Healthy), State::Open),
        (run("r1", "d1", &a, Phase::Applied), State::Open),
        (run("r1", "d1", &a, Phase::Failed), State::Failed),
        (run("r1", "d1", &a, Phase::Error), State::Failed),
        (run("r1", "d0", &a, Phase::Failed), State::Open),
        (run("r1", "d1", &a, Phase::Superseded), State::Open),
        (Told::Run(progress("r1", "d1", &a, "shop@west", Phase::Healthy)), State::Open),
    ];
    for (told, state) in cases {
        let desk = Desk::new().await;
        desk.store.open_targets(&[memory("d1", &a)]).await.unwrap();
        desk.hear(told.clone()).await;
        assert_eq!(desk.state().await, state, "{told:?}");
    }
    for covered_first in [true, false] {
        let desk = Desk::new().await;
        desk.store.open_targets(&[memory("d2", &b)]).await.unwrap();
        let mut told = [covered("d2", &b, "r1"), run("r1", "d1", &a, Phase::Healthy)];
        if !covered_first {
            told.reverse();
        }
        for told in told {
            desk.hear(told).await;
        }
        assert_eq!(desk.state().await, State::Closed);
    }
}

#[tokio::test]
async fn memories_are_remembered_as_they_were_and_replaced_by_the_next() {
    let desk = Desk::new().await;
    let first = memory("d1", &commit('a'));
    desk.store.open_targets(std::slice::from_ref(&first)).await.unwrap();
    let desk = desk.reopen().await;
    assert_eq!(desk.store.memory(&name("git")).await.unwrap(), [first]);
    let second = Memory { definition: 4, ..memory("d2", &commit('b')) };
    desk.store.open_targets(std::slice::from_ref(&second)).await.unwrap();
    assert_eq!(desk.store.memory(&name("git")).await.unwrap(), [second]);
    assert_eq!(desk.store.memory(&name("other")).await.unwrap(), []);
}

#[tokio::test]
async fn the_number_of_a_definition_grows_with_every_change_and_only_then() {
    let desk = Desk::new().await;
    let shop = Application {
        name: name("shop"),
        source: name("git"),
        reference: RefName::parse("refs/heads/main").unwrap(),
        path: "deploy".into(),
        clusters: vec![name("east")],
        namespace: "shop".into(),
        prune: true,
        health_deadline_ms: 300_000,
    };
    let first = desk.store.definition(&shop).await.unwrap();
    assert_eq!(desk.store.definition(&shop).await.unwrap(), first);
    let moved = Application { path: "elsewhere".into(), ..shop.clone() };
    assert_eq!(desk.store.definition(&moved).await.unwrap(), first + 1);
    let desk = desk.reopen().await;
    assert_eq!(desk.store.definition(&shop).await.unwrap(), first + 2);
    let other = Application { name: name("other"), ..shop.clone() };
    assert!(desk.store.definition(&other).await.unwrap() >= first);
    // A store that was lost does not count from below what clusters have seen.
    assert!(first > 1_700_000_000);
}

#[tokio::test]
async fn refs_are_remembered_until_they_are_gone() {
    let desk = Desk::new().await;
    let (git, main) = (name("git"), RefName::parse("refs/heads/main").unwrap());
    for digit in ['a', 'b'] {
        desk.store.saw(&git, &main, Some(&commit(digit))).await.unwrap();
    }
    assert_eq!(
        desk.store.seen(&git).await.unwrap().into_iter().collect::<Vec<_>>(),
        [(main.clone(), commit('b'))]
    );
    desk.store.saw(&git, &main, None).await.unwrap();
    assert!(desk.store.seen(&git).await.unwrap().is_empty());
}

#[tokio::test]
async fn rows_without_an_end_or_news_are_overdue() {
    let desk = Desk::new().await;
    let a = commit('a');
    desk.store.record(&at(1_000, roster("d1", &a, &["shop@east", "shop@west"]))).await.unwrap();
    desk.store.record(&at(2_000, run("r1", "d1", &a, Phase::Running))).await.unwrap();
    let overdue = |before| {
        let store = desk.store.clone();
        async move { store.overdue(Moment(before), 10).await.unwrap() }
    };
    let east = (name("git"), target("shop@east"), a.clone());
    let west = (name("git"), target("shop@west"), a.clone());
    assert_eq!(overdue(1_000).await, []);
    assert_eq!(overdue(1_001).await, std::slice::from_ref(&west));
    assert_eq!(overdue(2_001).await, [west, east.clone()]);
    // Asking again counts as news.
    desk.store.record(&at(3_000, roster("d2", &a, &["shop@west"]))).await.unwrap();
    assert_eq!(overdue(2_001).await, std::slice::from_ref(&east));
    desk.store.record(&at(4_000, run("r1", "d1", &a, Phase::Healthy))).await.unwrap();
    assert_eq!(overdue(3_000).await, []);
}

#[tokio::test]
async fn a_report_that_is_dropped_half_way_leaves_all_of_itself_or_nothing() {
    let desk = Desk::new().await;
    let a = commit('a');
    let targets = ["shop@a", "shop@b", "shop@c", "shop@d"];
    for micros in (0..3_000).step_by(100) {
        let report = at(1_000, roster("d1", &a, &targets));
        // Whether it ends in time does not matter, only what is there afterwards.
        let _ended = tokio::time::timeout(Duration::from_micros(micros), desk.store.record(&report)).await;
        let rows = desk.phases(&a).await.len();
        assert!(rows == 0 || rows == 4, "{rows} rows after {micros} µs");
    }
    desk.hear(roster("d1", &a, &targets)).await;
    assert_eq!(desk.due().await.len(), 5);
}

#[tokio::test]
async fn history_lists_runs_newest_first_with_what_they_did() {
    let desk = Desk::new().await;
    let a = commit('a');
    for (id, phase) in [("r1", Phase::Applied), ("r2", Phase::Failed)] {
        desk.hear(run(id, "d1", &a, phase)).await;
    }
    desk.hear(Told::Run(progress("r3", "d1", &a, "blog@east", Phase::Running))).await;
    let runs = desk.store.runs(Some(&name("shop")), 10).await.unwrap();
    let ids: Vec<&str> = runs.iter().map(|run| run.run.as_str()).collect();
    assert_eq!(ids, ["r2", "r1"]);
    assert_eq!(runs[0].problems[0].to_string(), "Deployment/shop/web: quota exceeded");
    assert_eq!(runs[1].changes[0].action, Action::Configured);
    assert_eq!((runs[1].took_ms, runs[1].tally.created), (4_100, 1));
    assert_eq!(desk.store.runs(None, 2).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    std::fs::write(&path, "not a database, and long enough to be read as the head of one".repeat(50))
        .unwrap();
    let error = Store::open(&path).await.err().unwrap();
    assert!(error.to_string().contains("move it away"), "{error}");
    assert_eq!(error.fault(), Fault::Ours);
}
