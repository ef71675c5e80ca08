//! The report station, from the queue to a forge, with a real queue and a real store.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::Connection;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteConnectOptions;
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
use windlass::queue::Draft;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::report::Address;
use windlass::report::Posted;
use windlass::report::Poster;
use windlass::report::Reporter;
use windlass::report::Step;
use windlass::secret::Secret;
use windlass::store::Store;

mod far;

/// When the tests begin to post, and a time after which every pause is over.
const NOW: Moment = Moment(1_000_000_000);
const MUCH_LATER: Moment = Moment(1_000_900_000);

struct Station {
    folder: tempfile::TempDir,
    queue: Queue,
    store: Store,
    reporter: Reporter,
    poster: Poster,
}

impl Station {
    /// A station whose sources are at these forges, each in a repository of the same name.
    async fn new(sources: &[(&str, &far::Forge)], token: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::open(&folder.path().join("queue.db")).await.unwrap();
        let store = Store::open(&folder.path().join("store.db")).await.unwrap();
        let token = || token.map(|token| Credential::Token(Secret::new(token).unwrap()));
        let poster = poster(&store, sources, token);
        let reporter = Reporter::new(queue.clone(), store.clone());
        Self { folder, queue, store, reporter, poster }
    }

    /// The same station after its poster was replaced.
    fn posted_by_another(self, sources: &[(&str, &far::Forge)]) -> Self {
        let token = || Some(Credential::Token(Secret::new("a token that writes statuses").unwrap()));
        let poster = poster(&self.store, sources, token);
        Self { poster, ..self }
    }

    async fn with(sources: &[(&str, &far::Forge)]) -> Self {
        Self::new(sources, Some("a token that writes statuses")).await
    }

    async fn say(&self, body: String) {
        self.say_apart("shop", body).await;
    }

    /// Publishes a message of a partition of its own.
    async fn say_apart(&self, partition: &str, body: String) {
        let (lane, id, partition) = (Lane::reports(), "report".into(), partition.into());
        self.queue.publish(vec![Draft { lane, id, partition, body, trace: None }]).await.unwrap();
    }

    /// Publishes what a worker says and takes it in.
    async fn hear(&self, source: &str, phase: Phase) {
        let report = Report { version: VERSION, at: Moment(5_100), what: told(source, phase) };
        self.say(serde_json::to_string(&report).unwrap()).await;
        assert_eq!(self.reporter.step(Duration::ZERO).await.unwrap(), Step::Recorded);
    }

    async fn post(&self, now: Moment) -> (u32, u32, u32) {
        let Posted { taken, put_off, given_up } = self.poster.step(now).await.unwrap();
        (taken, put_off, given_up)
    }
}

fn poster(
    store: &Store,
    sources: &[(&str, &far::Forge)],
    credential: impl Fn() -> Option<Credential>,
) -> Poster {
    let address = |source: &str, forge: &far::Forge| Address {
        forge: Kind::Gitea.rules(),
        api: forge.api.clone(),
        repository: format!("team/{source}"),
        credential: credential(),
        folders: BTreeMap::new(),
    };
    let addresses: BTreeMap<Name, Address> =
        sources.iter().map(|(source, forge)| (name(source), address(source, forge))).collect();
    let near = sources.iter().map(|(_, forge)| forge.api.as_str());
    let courier = Courier::new().unwrap().near(near);
    Poster::new(store.clone(), courier, addresses, None)
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn told(source: &str, phase: Phase) -> Told {
    let target = Target { application: name(source), cluster: name("east") };
    let commit = CommitId::parse(&"a".repeat(40)).unwrap();
    let (dispatch, received_at) = ("d1".to_owned(), Moment(1_000));
    if phase == Phase::Pending {
        return Told::Roster { dispatch, source: name(source), commit, targets: vec![target], received_at };
    }
    Told::Run(Progress {
        run: "r1".into(),
        dispatch,
        source: name(source),
        target,
        commit,
        inputs: Inputs("tree".into()),
        phase,
        changes: Vec::new(),
        tally: Tally { created: 1, ..Tally::default() },
        problems: Vec::new(),
        received_at,
        rollback_from: None,
    })
}

#[tokio::test]
async fn what_workers_say_reaches_the_forge_once() {
    let forge = far::Forge::start().await;
    let station = Station::with(&[("shop", &forge)]).await;
    station.hear("shop", Phase::Pending).await;
    assert_eq!(station.post(NOW).await, (2, 0, 0));
    let heard = forge.heard();
    assert!(heard.contains(&"team/shop pending windlass/shop@east: queued".to_owned()), "{heard:?}");
    assert!(heard.contains(&"team/shop pending windlass: rolling out to 1 target".to_owned()), "{heard:?}");
    for phase in [Phase::Running, Phase::Applied, Phase::Healthy, Phase::Healthy, Phase::Running] {
        station.hear("shop", phase).await;
    }
    assert_eq!(station.reporter.step(Duration::ZERO).await.unwrap(), Step::Idle);
    assert_eq!(station.post(NOW).await, (2, 0, 0));
    let heard = forge.heard();
    let text = "team/shop success windlass/shop@east: 1 created, healthy in 4.1 s".to_owned();
    assert!(heard.contains(&text), "{heard:?}");
    assert!(heard.contains(&"team/shop success windlass: 1 target healthy".to_owned()), "{heard:?}");
    assert_eq!(station.post(MUCH_LATER).await, (0, 0, 0));
    assert_eq!(forge.most_at_once(), 1);
}

#[tokio::test]
async fn reports_that_wait_are_taken_in_together_and_one_that_is_none_holds_up_no_other() {
    let forge = far::Forge::start().await;
    let station = Station::with(&[("shop", &forge), ("blog", &forge)]).await;
    let phases = [Phase::Pending, Phase::Running, Phase::Applied, Phase::Healthy];
    for (place, phase) in phases.into_iter().enumerate() {
        for source in ["shop", "blog"] {
            let report = Report { version: VERSION, at: Moment(5_100), what: told(source, phase) };
            let body = serde_json::to_string(&report).unwrap();
            station.say_apart(&format!("{source} {place}"), body).await;
        }
        if place == 1 {
            station.say("{}".into()).await;
        }
    }
    let mut steps = station.reporter.gather(Duration::ZERO).await.unwrap();
    steps.sort_by_key(|step| *step != Step::Buried);
    assert_eq!(steps[0], Step::Buried);
    assert!(steps.len() == 9 && steps[1..].iter().all(|step| *step == Step::Recorded), "{steps:?}");
    assert!(station.reporter.gather(Duration::ZERO).await.unwrap().is_empty());
    assert_eq!(station.queue.dead(10).await.unwrap().len(), 1);
    // A forge hears of both where they stand, and of nothing before that.
    assert_eq!(station.post(NOW).await, (4, 0, 0));
    let heard = forge.heard();
    for source in ["shop", "blog"] {
        for text in
            ["windlass: 1 target healthy", &format!("windlass/{source}@east: 1 created, healthy in 4.1 s")]
        {
            assert!(heard.contains(&format!("team/{source} success {text}")), "{text}: {heard:?}");
        }
    }
}

#[tokio::test]
async fn one_report_that_the_store_cannot_take_is_put_off_alone() {
    let forge = far::Forge::start().await;
    let station = Station::with(&[("shop", &forge)]).await;
    let file = SqliteConnectOptions::new().filename(station.folder.path().join("store.db"));
    let mut other = SqliteConnection::connect_with(&file).await.unwrap();
    let refused = "CREATE TRIGGER refused BEFORE INSERT ON ledger WHEN NEW.application = 'cursed' \
        BEGIN SELECT RAISE(ABORT, 'not this one'); END";
    sqlx::raw_sql(refused).execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    for application in ["till", "cursed", "shop"] {
        let Told::Run(progress) = told("shop", Phase::Healthy) else { unreachable!() };
        let target = Target { application: name(application), ..progress.target };
        let what = Told::Run(Progress { run: application.into(), target, ..progress });
        let report = Report { version: VERSION, at: Moment(5_100), what };
        station.say_apart(application, serde_json::to_string(&report).unwrap()).await;
    }
    let steps = station.reporter.gather(Duration::ZERO).await.unwrap();
    assert_eq!(steps, [Step::Recorded, Step::PutOff, Step::Recorded]);
    assert_eq!(station.post(NOW).await.0, 2);
}

#[tokio::test]
async fn the_loops_carry_reports_to_the_forge_by_themselves() {
    let forge = far::Forge::start().await;
    let station = Station::with(&[("shop", &forge)]).await;
    let work = async {
        for (phase, heard) in [(Phase::Pending, "pending windlass:"), (Phase::Healthy, "success windlass:")] {
            let report = Report { version: VERSION, at: Moment(5_100), what: told("shop", phase) };
            station.say(serde_json::to_string(&report).unwrap()).await;
            forge.until(heard).await;
        }
    };
    tokio::select! {
        _ = station.reporter.run() => {}
        _ = station.poster.run() => {}
        () = work => {}
    }
    assert!(forge.heard().len() >= 3);
}

#[tokio::test]
async fn a_report_that_nobody_can_read_is_buried_and_a_newer_one_is_left_to_whoever_can() {
    let forge = far::Forge::start().await;
    let station = Station::with(&[("shop", &forge)]).await;
    for (body, expected, dead) in [("{}", Step::Buried, 1), ("{\"version\":99}", Step::PutOff, 1)] {
        station.say(body.into()).await;
        assert_eq!(station.reporter.step(Duration::ZERO).await.unwrap(), expected);
        assert_eq!(station.queue.dead(10).await.unwrap().len(), dead);
    }
    assert!(station.queue.dead(1).await.unwrap()[0].why.contains("not of this form"));
    assert_eq!(station.post(NOW).await, (0, 0, 0));
}

#[tokio::test]
async fn a_forge_that_was_away_hears_the_final_state_and_not_what_it_missed() {
    let forge = far::Forge::start().await;
    let station = Station::with(&[("shop", &forge)]).await;
    station.hear("shop", Phase::Pending).await;
    forge.answer(&[""]);
    // The first fails, and the other is not even tried.
    assert_eq!(station.post(NOW).await, (0, 2, 0));
    assert_eq!(forge.heard().len(), 1);
    assert_eq!(station.post(NOW).await, (0, 0, 0));
    station.hear("shop", Phase::Failed).await;
    assert_eq!(station.post(MUCH_LATER).await, (2, 0, 0));
    let heard = forge.heard();
    assert!(heard.iter().all(|line| line.starts_with("team/shop failure windlass")), "{heard:?}");
}

#[tokio::test]
async fn a_forge_that_asks_to_wait_is_left_alone_and_others_are_not() {
    let (busy, idle) = (far::Forge::start().await, far::Forge::start().await);
    let station = Station::with(&[("shop", &busy), ("blog", &busy), ("docs", &idle)]).await;
    for source in ["shop", "blog", "docs"] {
        station.hear(source, Phase::Pending).await;
    }
    busy.answer(&["429 Too Many Requests\r\nretry-after: 600"]);
    assert_eq!(station.post(NOW).await, (2, 4, 0));
    assert_eq!((busy.heard().len(), idle.heard().len()), (1, 2));
    // Also what becomes due meanwhile waits.
    station.hear("blog", Phase::Running).await;
    assert_eq!(station.post(NOW.plus(599_000)).await.0, 0);
    assert_eq!(busy.heard().len(), 0);
    assert_eq!(station.post(MUCH_LATER).await, (4, 0, 0));
}

#[tokio::test]
async fn a_refused_token_holds_back_its_own_source_only() {
    let forge = far::Forge::start().await;
    let station = Station::with(&[("shop", &forge), ("blog", &forge)]).await;
    station.hear("shop", Phase::Pending).await;
    station.hear("blog", Phase::Pending).await;
    forge.answer(&["401 Unauthorized"]);
    assert_eq!(station.post(NOW).await, (2, 2, 0));
    assert_eq!(station.post(NOW.plus(299_000)).await, (0, 0, 0));
    assert_eq!(station.post(MUCH_LATER).await, (2, 0, 0));
}

#[tokio::test]
async fn a_status_that_the_forge_never_takes_is_given_up_and_its_next_state_is_tried() {
    let forge = far::Forge::start().await;
    let station = Station::with(&[("shop", &forge)]).await;
    station.hear("shop", Phase::Pending).await;
    forge.answer(&["422 Unprocessable", "422 Unprocessable"]);
    assert_eq!(station.post(NOW).await, (0, 0, 2));
    assert_eq!(station.post(MUCH_LATER).await, (0, 0, 0));
    station.hear("shop", Phase::Healthy).await;
    assert_eq!(station.post(MUCH_LATER).await, (2, 0, 0));
}

#[tokio::test]
async fn one_status_that_fails_by_itself_does_not_stop_its_neighbours() {
    let forge = far::Forge::start().await;
    let station = Station::with(&[("shop", &forge)]).await;
    station.hear("shop", Phase::Pending).await;
    forge.answer(&["500 Broken"]);
    assert_eq!(station.post(NOW).await, (1, 1, 0));
    // The forge is asked whether it has it all the same, and then told again.
    assert_eq!(station.post(MUCH_LATER).await, (0, 1, 0));
    assert_eq!(station.post(MUCH_LATER).await, (1, 0, 0));
}

#[tokio::test]
async fn a_status_whose_answer_was_lost_is_looked_for_and_not_posted_twice() {
    // Taken and never answered for, taken and answered for as a failure, and never taken.
    for (lost, taken) in [(far::LOST, true), ("200 Broken", true), ("502 Broken", false), ("", false)] {
        let forge = far::Forge::start().await;
        let station = Station::with(&[("shop", &forge)]).await;
        station.hear("shop", Phase::Pending).await;
        forge.answer(&[lost]);
        station.post(NOW).await;
        station.post(MUCH_LATER).await;
        station.post(MUCH_LATER).await;
        let heard = forge.heard();
        assert_eq!(heard.len(), if taken { 2 } else { 3 }, "{lost}: {heard:?}");
        let looked = forge.looked();
        assert_eq!(looked.len(), usize::from(lost != "200 Broken"), "{lost}: {looked:?}");
        assert_eq!(station.store.next_due().await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_post_posts_nothing_twice() {
    for taken in [true, false] {
        let forge = far::Forge::start().await;
        let station = Station::with(&[("shop", &forge)]).await;
        station.hear("shop", Phase::Pending).await;
        forge.answer(&[if taken { far::SLOW } else { "" }]);
        let (step, asked) = (station.poster.step(NOW), forge.until("windlass"));
        tokio::select! {
            _ = step => assert!(!taken, "it was answered"),
            () = asked => {}
        }
        // Another one takes its place, and knows what the store knows.
        let station = station.posted_by_another(&[("shop", &forge)]);
        for _ in 0..3 {
            station.post(MUCH_LATER).await;
        }
        assert_eq!(forge.heard().len(), if taken { 2 } else { 3 });
        assert_eq!(forge.looked().len(), 1);
    }
}

#[tokio::test]
async fn a_newer_state_is_posted_without_a_look_whatever_became_of_the_older_one() {
    let forge = far::Forge::start().await;
    let station = Station::with(&[("shop", &forge)]).await;
    station.hear("shop", Phase::Pending).await;
    forge.answer(&[far::LOST]);
    station.post(NOW).await;
    station.hear("shop", Phase::Healthy).await;
    assert_eq!(station.post(MUCH_LATER).await, (2, 0, 0));
    assert_eq!(forge.looked(), Vec::<String>::new());
    assert_eq!(forge.heard().iter().filter(|line| line.contains(" success ")).count(), 2);
}

#[tokio::test]
async fn a_forge_that_does_not_say_what_it_shows_is_asked_again_and_one_that_may_not_be_asked_is_told_again()
{
    let forge = far::Forge::start().await;
    let station = Station::with(&[("shop", &forge)]).await;
    station.hear("shop", Phase::Pending).await;
    forge.answer(&["502 Broken", "200 Taken", "503 Away"]);
    station.post(NOW).await;
    assert_eq!(station.post(MUCH_LATER).await, (0, 1, 0));
    assert_eq!((forge.heard().len(), forge.looked().len()), (2, 1));
    let later = MUCH_LATER.plus(900_000);
    forge.answer(&["403 Forbidden"]);
    assert_eq!(station.post(later).await, (0, 1, 0), "the question is answered");
    assert_eq!(station.post(later).await, (1, 0, 0));
    assert_eq!((forge.heard().len(), forge.looked().len()), (1, 1));
}

#[tokio::test]
async fn a_source_without_a_token_is_silent() {
    let forge = far::Forge::start().await;
    let station = Station::new(&[("shop", &forge)], None).await;
    station.hear("shop", Phase::Pending).await;
    station.hear("other", Phase::Pending).await;
    assert_eq!(station.post(NOW).await, (0, 0, 2));
    // A source that the settings do not know may be one of newer settings, which another process has read.
    let mut now = NOW;
    for _ in 0..11 {
        now = now.plus(300_000);
        assert_eq!(station.post(now).await, (0, 0, 0));
    }
    assert_eq!(station.post(now.plus(300_000)).await, (0, 0, 2));
    assert_eq!(station.store.next_due().await.unwrap(), None);
    assert_eq!(forge.heard(), Vec::<String>::new());
}
