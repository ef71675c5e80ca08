//! Several processes with one store, each with connections of its own.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use futures::future::try_join_all;
use sqlx::Connection;
use sqlx::PgConnection;
use windlass::application::Application;
use windlass::application::OnFailure;
use windlass::commit::CommitId;
use windlass::fault::Fault;
use windlass::moment::Moment;
use windlass::outcome::Phase;
use windlass::outcome::Told;
use windlass::reference::Reference;
use windlass::secret::Secret;
use windlass::store::Error;
use windlass::store::Keep;
use windlass::store::Sought;
use windlass::store::Store;

use crate::desk::Desk;
use crate::desk::at;
use crate::desk::commit;
use crate::desk::covered;
use crate::desk::name;
use crate::desk::progress;
use crate::desk::roster;
use crate::desk::run;
use crate::place::Place;
use crate::place::execute;
use crate::place::on_postgres;

/// How long may a process take to hear of what another did? Longer than a lost connection takes to come back.
const HEARD_WITHIN: Duration = Duration::from_secs(30);

fn numbered(number: u32) -> CommitId {
    CommitId::parse(&format!("{:040x}", number + 1)).unwrap()
}

async fn targets_that_end_at_once_are_all_counted(place: Place) {
    let names: Vec<String> = (0..20).map(|number| format!("shop@c{number}")).collect();
    let targets: Vec<&str> = names.iter().map(String::as_str).collect();
    let desk = Desk::new(&place).await;
    let stores = [desk.store.clone(), desk.home.store().await, desk.home.store().await];
    for digit in ['a', 'b', 'c'] {
        let own = commit(digit);
        desk.hear(roster("d", &own, &targets)).await;
        let reports: Vec<_> = targets
            .iter()
            .map(|on| at(5_000, Told::Run(progress(&format!("{digit}-{on}"), "d", &own, on, Phase::Healthy))))
            .collect();
        try_join_all(stores.iter().cycle().zip(&reports).map(|(store, report)| store.record(report)))
            .await
            .unwrap();
        let statuses = desk.store.statuses(&name("git"), &own).await.unwrap();
        let whole = statuses.iter().find(|status| status.context == "windlass").unwrap();
        assert_eq!((whole.phase, whole.description.as_str()), (Phase::Healthy, "20 targets healthy"));
    }
}

async fn who_shares_the_fate_of_a_run_gets_it_also_when_both_are_told_at_once(place: Place) {
    let desk = Desk::new(&place).await;
    let other = desk.home.store().await;
    for round in 0..20 {
        let (a, dispatch, id) = (numbered(round), format!("d{round}"), format!("r{round}"));
        let covered = at(5_000, covered(&dispatch, &a, &id));
        let ended = at(5_000, run(&id, "elsewhere", &commit('b'), Phase::Healthy));
        let (one, two) = tokio::join!(desk.store.record(&covered), other.record(&ended));
        one.and(two).unwrap();
        let verdicts = desk.store.verdicts(&name("git"), &a).await.unwrap();
        assert_eq!(
            (verdicts[0].row.phase, verdicts[0].row.run.as_deref()),
            (Phase::Healthy, Some(id.as_str()))
        );
    }
}

async fn reports_of_one_target_in_several_processes_end_as_in_one(place: Place) {
    let desk = Desk::new(&place).await;
    let other = desk.home.store().await;
    let phases = [Phase::Running, Phase::Applied, Phase::Healthy, Phase::Running, Phase::Applied];
    for round in 0..10 {
        let own = numbered(round);
        desk.hear(roster("d", &own, &["shop@east"])).await;
        let reports = phases.map(|phase| at(5_000, run(&format!("r{round}"), "d", &own, phase)));
        let stores = [&desk.store, &other].into_iter().cycle();
        try_join_all(stores.zip(&reports).map(|(store, report)| store.record(report))).await.unwrap();
        assert_eq!(desk.phases(&own).await, ["shop@east healthy"]);
        assert_eq!(desk.store.runs(&Sought::default(), 1).await.unwrap()[0].phase, Phase::Healthy);
    }
}

async fn no_number_of_a_definition_is_given_twice(place: Place) {
    let desk = Desk::new(&place).await;
    let stores = [desk.store.clone(), desk.home.store().await];
    let shop = |path: usize| Application {
        name: name("shop"),
        source: name("git"),
        reference: Reference::parse("refs/heads/main").unwrap(),
        path: format!("deploy/{path}"),
        clusters: vec![name("east")],
        namespace: "shop".into(),
        prune: true,
        health_deadline_ms: 300_000,
        self_heal: windlass::application::SelfHeal::Correct,
        conflicts: windlass::application::Conflicts::Take,
        takes_over: Vec::new(),
        propagation: windlass::application::Propagation::Background,
        stable_for_ms: None,
        depends_on: Vec::new(),
        on_failure: OnFailure::default(),
        service_account: None,
        ignore: Vec::new(),
    };
    let first = desk.store.definition(&shop(0)).await.unwrap();
    let changed: Vec<Application> = (1..=10).map(shop).collect();
    let given = stores.iter().cycle().zip(&changed).map(|(store, shop)| store.definition(shop));
    let mut numbers = try_join_all(given).await.unwrap();
    numbers.sort_unstable();
    assert_eq!(numbers, (first + 1..=first + 10).collect::<Vec<_>>());
}

/// Reports on one store until whoever waits at another is woken, twice: once it may be that the other has just begun
/// to listen.
async fn wakes(one: &Store, other: &Store) {
    wakes_once(one, other).await;
    wakes_once(one, other).await;
}

async fn wakes_once(one: &Store, other: &Store) {
    let other = other.clone();
    // Whatever is due of this source wakes nobody: it is news that do.
    let waiting =
        tokio::spawn(
            async move { other.wait_due_but(Moment(0), Duration::from_secs(600), &[name("git")]).await },
        );
    let end = tokio::time::Instant::now() + HEARD_WITHIN;
    while !waiting.is_finished() {
        assert!(tokio::time::Instant::now() < end, "nobody was woken within {HEARD_WITHIN:?}");
        one.record(&at(5_000, roster("d", &commit('a'), &["shop@east"]))).await.unwrap();
        // why: whether the other has begun to wait, and listens, shows nowhere.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    waiting.await.unwrap().unwrap();
}

async fn a_report_in_one_process_wakes_who_waits_in_another(place: Place) {
    let desk = Desk::new(&place).await;
    let other = desk.home.store().await;
    wakes(&desk.store, &other).await;
    wakes(&other, &desk.store).await;
}

async fn a_process_goes_on_after_its_connections_were_cut(place: Place) {
    let desk = Desk::new(&place).await;
    let other = desk.home.store().await;
    wakes(&desk.store, &other).await;
    let mut admin = PgConnection::connect(desk.home.url().expose()).await.unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    execute(&mut admin, cut.to_owned()).await;
    desk.hear(run("r", "d", &commit('a'), Phase::Healthy)).await;
    assert_eq!(desk.phases(&commit('a')).await, ["shop@east healthy"]);
    wakes(&desk.store, &other).await;
}

async fn processes_that_start_at_once_make_the_tables_once(place: Place) {
    let home = place.home().await;
    let stores = join_all((0..6).map(|_| home.store())).await;
    for (number, store) in (0..).zip(&stores) {
        let own = numbered(number);
        store.record(&at(5_000, roster("d", &own, &["shop@east"]))).await.unwrap();
    }
    assert_eq!(stores[0].due(Moment(0), 100).await.unwrap().len(), 12);
}

async fn a_database_of_a_newer_windlass_is_refused_and_left_alone(place: Place) {
    let desk = Desk::new(&place).await;
    let mut admin = PgConnection::connect(desk.home.url().expose()).await.unwrap();
    execute(&mut admin, "UPDATE windlass_form SET number = 77".to_owned()).await;
    let error = Store::connect(desk.home.url()).await.err().unwrap();
    assert!(matches!(error, Error::Newer { found: 77, .. }), "{error:?}");
    assert_eq!(error.fault(), Fault::Ours);
    let found: i64 =
        sqlx::query_scalar("SELECT number FROM windlass_form").fetch_one(&mut admin).await.unwrap();
    assert_eq!(found, 77);
}

async fn a_lock_that_somebody_else_holds_is_waited_for_with_an_end(place: Place) {
    let desk = Desk::new(&place).await;
    let report = at(5_000, roster("d", &commit('a'), &["shop@east"]));
    let mut admin = PgConnection::connect(desk.home.url().expose()).await.unwrap();
    execute(&mut admin, "BEGIN; LOCK TABLE statuses".to_owned()).await;
    let began = tokio::time::Instant::now();
    let error = desk.store.record(&report).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Passing, "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    execute(&mut admin, "ROLLBACK".to_owned()).await;
    assert_eq!(desk.phases(&commit('a')).await, Vec::<String>::new());
    desk.store.record(&report).await.unwrap();
    assert_eq!(desk.due().await.len(), 2);
}

async fn a_user_who_may_only_work_with_rows_gets_along_with_tables_that_are_there(place: Place) {
    let desk = Desk::new(&place).await;
    let mut admin = PgConnection::connect(desk.home.url().expose()).await.unwrap();
    let role = format!("rows_{}", uuid::Uuid::now_v7().simple());
    let make = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'not-a-real-password'; GRANT USAGE ON SCHEMA store0 TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA store0 TO {role}"
    );
    execute(&mut admin, make).await;
    let (_, server) = desk.home.url().expose().rsplit_once('@').unwrap();
    let url = Secret::new(&format!("postgres://{role}:not-a-real-password@{server}")).unwrap();
    let store = Store::connect(&url).await;
    let recorded = match &store {
        Ok(store) => store.record(&at(5_000, roster("d", &commit('a'), &["shop@east"]))).await,
        Err(_) => Ok(()),
    };
    execute(&mut admin, format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    (store.map(drop)).and(recorded).unwrap();
    assert_eq!(desk.phases(&commit('a')).await, ["shop@east pending"]);
}

async fn history_is_forgotten_while_reports_come_in(place: Place) {
    let desk = Desk::new(&place).await;
    let other = desk.home.store().await;
    let none = Keep { days: 1, commits: 0, runs: 0, deliveries: 0 };
    let through = AtomicBool::new(false);
    let forget = async {
        while !through.load(Ordering::Relaxed) {
            other.prune(Moment(5_000), &none).await.unwrap();
        }
    };
    let report = async {
        for number in 0..20 {
            let own = numbered(number);
            desk.hear(roster("d", &own, &["shop@east", "shop@west"])).await;
            for on in ["shop@east", "shop@west"] {
                let id = format!("{number}-{on}");
                desk.hear(Told::Run(progress(&id, "d", &own, on, Phase::Healthy))).await;
            }
            desk.store.prune(Moment(5_000), &none).await.unwrap();
            assert_eq!(desk.phases(&own).await.len(), 2, "nothing goes of which the forge was not told");
            desk.post_all().await;
        }
        through.store(true, Ordering::Relaxed);
    };
    tokio::join!(forget, report);
    desk.store.prune(Moment(5_000), &none).await.unwrap();
    assert_eq!(desk.store.commits("").await.unwrap(), []);
}

on_postgres!(
    a_user_who_may_only_work_with_rows_gets_along_with_tables_that_are_there,
    history_is_forgotten_while_reports_come_in,
    targets_that_end_at_once_are_all_counted,
    who_shares_the_fate_of_a_run_gets_it_also_when_both_are_told_at_once,
    reports_of_one_target_in_several_processes_end_as_in_one,
    no_number_of_a_definition_is_given_twice,
    a_report_in_one_process_wakes_who_waits_in_another,
    a_process_goes_on_after_its_connections_were_cut,
    processes_that_start_at_once_make_the_tables_once,
    a_database_of_a_newer_windlass_is_refused_and_left_alone,
    a_lock_that_somebody_else_holds_is_waited_for_with_an_end,
);
