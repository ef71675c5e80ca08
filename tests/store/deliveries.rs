//! Deliveries, in the store and as they are printed.

use std::path::Path;
use std::process::Command;

use windlass::explanation::Considered;
use windlass::explanation::Heard;
use windlass::explanation::LedTo;
use windlass::moment::Moment;
use windlass::outcome::Phase;
use windlass::outcome::Told;

use crate::desk::Desk;
use crate::desk::at;
use crate::desk::commit;
use crate::desk::name;
use crate::desk::roster;
use crate::desk::run;
use crate::explain::explain;
use crate::place::Place;
use crate::place::on_both;

pub fn heard(delivery: &str, at: i64, led_to: LedTo) -> Told {
    Told::Heard(Heard {
        delivery: delivery.to_owned(),
        forge: name("gitea"),
        hook: None,
        event: "push".to_owned(),
        from: "192.0.2.1".to_owned(),
        headers: vec![("x-gitea-event".to_owned(), "push".to_owned())],
        secret: 1,
        read: "push of refs/heads/main in team/shop to aaaaaaaaaaaa".to_owned(),
        by: Some("alice".to_owned()),
        pushed: true,
        led_to,
        received_at: Moment(at),
    })
}

fn accepted(event: &str) -> LedTo {
    LedTo::Accepted { events: vec![(event.to_owned(), name("git"))] }
}

pub fn ignored() -> LedTo {
    LedTo::Ignored { why: "ping: it is heard".to_owned() }
}

fn considered(event: &str, end: &str) -> Told {
    let mut considered = Considered::new(event, &name("git"));
    considered.note("shop@east".to_owned(), true, "what it reads is another".to_owned());
    considered.note("blog".to_owned(), false, "it follows refs/heads/next".to_owned());
    considered.commits = vec![commit('a')];
    considered.end = end.to_owned();
    Told::Considered(considered)
}

fn deliveries(folder: &Path, more: &[&str]) -> String {
    asked(folder, "deliveries", more).unwrap()
}

/// Returns what a command prints of a store, or how it refuses.
fn asked(folder: &Path, command: &str, more: &[&str]) -> Result<String, String> {
    let config = folder.join("windlass.toml");
    std::fs::write(&config, "[data]\ndir = \".\"\n").unwrap();
    let mut windlass = Command::new(env!("CARGO_BIN_EXE_windlass"));
    let output = windlass.arg(command).args(more).arg("--config").arg(config).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[tokio::test]
async fn history_is_printed_as_it_is_asked_for() {
    let desk = Desk::new(&Place::Sqlite).await;
    desk.hear(run("r1", "d1", &commit('a'), Phase::Healthy)).await;
    desk.hear(run("r2", "d2", &commit('b'), Phase::Failed)).await;
    let folder = desk.close().await;
    let history = |more: &[&str]| asked(folder.path(), "history", more);
    let (short_a, short_b) = (commit('a').short().to_owned(), commit('b').short().to_owned());
    let failed = history(&["--failed", "--cluster", "east", "--application", "shop"]).unwrap();
    assert!(failed.contains(&short_b) && !failed.contains(&short_a), "{failed}");
    let of = history(&["--commit", "AAAA"]).unwrap();
    assert!(of.contains(&short_a) && !of.contains(&short_b), "{of}");
    assert_eq!(history(&["--cluster", "west"]).unwrap(), "No runs.\n");
    for other in ["HEAD", "aaa", ""] {
        let refused = history(&["--commit", other]).unwrap_err();
        assert!(refused.contains("at least 4 digits of its beginning"), "{refused}");
    }
}

async fn a_delivery_is_kept_once_however_often_its_record_comes_and_each_time_it_is_delivered(place: Place) {
    let desk = Desk::new(&place).await;
    for at in [1, 1, 2] {
        desk.hear(heard("72d3162e", at, ignored())).await;
    }
    desk.hear(heard("83e4273f", 3, accepted("83e4273f"))).await;
    let times = |list: Vec<Heard>| list.into_iter().map(|one| one.received_at.0).collect::<Vec<_>>();
    assert_eq!(times(desk.store.deliveries(None, 10).await.unwrap()), [3, 2, 1]);
    assert_eq!(times(desk.store.deliveries(None, 2).await.unwrap()), [3, 2]);
    assert_eq!(times(desk.store.deliveries(Some(&name("github")), 10).await.unwrap()), [0_i64; 0]);
    for (prefix, found) in
        [("72d3", vec![1, 2]), ("72d3162e", vec![1, 2]), ("8", vec![3]), ("72D3", vec![]), ("%", vec![])]
    {
        assert_eq!(times(desk.store.deliveries_called(prefix).await.unwrap()), found, "{prefix}");
    }
    assert_eq!(desk.store.last_delivery(&name("git")).await.unwrap(), Some(Moment(3)));
    assert_eq!(desk.store.last_delivery(&name("other")).await.unwrap(), None);
}

#[tokio::test]
async fn a_record_that_comes_again_after_many_other_rows_takes_no_delivery_away() {
    let desk = Desk::new(&Place::Sqlite).await;
    desk.hear(heard("72d3162e", 1, ignored())).await;
    let folder = desk.close().await;
    let path = folder.path().join("store.db");
    // As if history had half a million statuses, so that the next one has a larger number than any delivery.
    let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(&path));
    let pool = pool.await.unwrap();
    let many = "INSERT INTO statuses (id, source, commit_id, context, phase, description) VALUES (500000, '', '', '', '', '')";
    sqlx::query(many).execute(&pool).await.unwrap();
    pool.close().await;
    let store = windlass::store::Store::open(&path).await.unwrap();
    for what in [roster("d", &commit('a'), &["shop@east"]), heard("72d3162e", 1, ignored())] {
        store.record(&at(5_000, what)).await.unwrap();
    }
    assert_eq!(store.deliveries(None, 10).await.unwrap().len(), 1);
}

async fn the_last_word_about_an_event_counts(place: Place) {
    let desk = Desk::new(&place).await;
    assert_eq!(desk.store.considered("event-1").await.unwrap(), None);
    desk.hear(considered("event-1", "put back for later")).await;
    desk.hear(considered("event-1", "dispatched: jobs 1")).await;
    let known = desk.store.considered("event-1").await.unwrap().unwrap();
    assert_eq!(known.end, "dispatched: jobs 1");
}

#[tokio::test]
async fn deliveries_are_listed_and_each_is_explained_down_to_its_statuses() {
    let desk = Desk::new(&Place::Sqlite).await;
    desk.hear(heard("72d3162e-cc78", 5_000, accepted("72d3162e-cc78"))).await;
    desk.hear(heard("83e4273f-dd89", 6_000, ignored())).await;
    desk.hear(considered("72d3162e-cc78", "dispatched: jobs 1")).await;
    desk.hear(roster("d", &commit('a'), &["shop@east"])).await;
    desk.hear(run("r", "d", &commit('a'), Phase::Healthy)).await;
    let folder = desk.close().await;
    let list = deliveries(folder.path(), &[]);
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(lines[1].contains("83e4273f-dd89") && lines[1].ends_with("nothing: ping: it is heard"), "{list}");
    assert!(lines[2].ends_with("push of refs/heads/main in team/shop to aaaaaaaaaaaa, by alice"), "{list}");
    assert_eq!(deliveries(folder.path(), &["--forge", "github"]), "No deliveries yet.\n");
    let json: serde_json::Value =
        serde_json::from_str(&deliveries(folder.path(), &["--json", "--limit", "1"])).unwrap();
    assert_eq!((json["delivery"].as_str(), json["secret"].as_u64()), (Some("83e4273f-dd89"), Some(1)));
    let text = String::from_utf8(explain(folder.path(), "72d3162e").stdout).unwrap();
    for part in [
        "delivery 72d3162e-cc78 at 1970-01-01T00:00:05Z, event push, by alice\n",
        "  from 192.0.2.1 to the webhook gitea, signed with its secret number 2\n",
        "    x-gitea-event: push\n",
        "  read as a push of refs/heads/main in team/shop to aaaaaaaaaaaa\n",
        "source git, event 72d3162e-cc78\n  dispatched: jobs 1\n",
        "  + shop@east: what it reads is another\n  - blog: it follows refs/heads/next\n",
        &format!("commit {} of source git\n", commit('a')),
        "    status windlass/shop@east, healthy, ",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let text = String::from_utf8(explain(folder.path(), "83e4273f").stdout).unwrap();
    assert!(text.ends_with("  ignored: ping: it is heard\n"), "{text}");
}

#[tokio::test]
async fn a_delivery_that_was_not_looked_at_yet_and_one_that_concerned_many_are_told_as_such() {
    let desk = Desk::new(&Place::Sqlite).await;
    for event in ["72d3162e-cc78", "83e4273f-dd89"] {
        desk.hear(heard(event, 5_000, accepted(event))).await;
    }
    let mut many = Considered::new("83e4273f-dd89", &name("git"));
    (0..10_000).for_each(|number| many.note(format!("shop-{number}"), false, "it reads the same".to_owned()));
    let listed = many.decisions.len();
    assert!(many.more > 0);
    desk.hear(Told::Considered(many)).await;
    let folder = desk.close().await;
    let text = String::from_utf8(explain(folder.path(), "72d3162e").stdout).unwrap();
    let words = "  accepted: events 1\n\nsource git: event 72d3162e-cc78 was not looked at yet, or that is forgotten\n";
    assert!(text.ends_with(words), "{text}");
    let text = String::from_utf8(explain(folder.path(), "83e4273f").stdout).unwrap();
    assert_eq!(text.matches("it reads the same").count(), listed);
    assert!(text.ends_with(&format!("  and {} more\n", 10_000 - listed)), "{text}");
}

#[tokio::test]
async fn a_store_of_the_first_form_is_brought_up_and_keeps_what_it_holds() {
    let desk = Desk::new(&Place::Sqlite).await;
    desk.hear(roster("d", &commit('a'), &["shop@east"])).await;
    let folder = desk.close().await;
    let path = folder.path().join("store.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    // One connection: another one may still go by the form that it read before.
    let one = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    let pool = one.connect_with(options).await.unwrap();
    let back = [
        "DROP TABLE deliveries",
        "DROP TABLE considered",
        "DROP TABLE told",
        "DROP TABLE drifts",
        "DROP TABLE pauses",
        "DROP TABLE audit",
        "DROP TABLE wishes",
        "DROP TABLE held",
        "DROP TABLE pins",
        "ALTER TABLE statuses DROP COLUMN shown",
        "ALTER TABLE statuses DROP COLUMN sent",
        "ALTER TABLE statuses DROP COLUMN trace",
        "DROP INDEX ledger_by_phase",
        "ALTER TABLE ledger DROP COLUMN called",
        "CREATE INDEX ledger_by_phase ON ledger (source, commit_id, phase)",
        "PRAGMA user_version = 1",
    ];
    for statement in back {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    pool.close().await;
    let store = windlass::store::Store::open(&path).await.unwrap();
    assert_eq!(store.verdicts(&name("git"), &commit('a')).await.unwrap().len(), 1);
    assert_eq!(store.deliveries(None, 1).await.unwrap(), []);
}

on_both!(
    a_delivery_is_kept_once_however_often_its_record_comes_and_each_time_it_is_delivered,
    the_last_word_about_an_event_counts,
);
