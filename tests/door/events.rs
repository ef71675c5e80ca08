//! What deliveries become, and the record that each leaves.

use std::time::Duration;

use windlass::commit::CommitId;
use windlass::event::Activity;
use windlass::event::Push;
use windlass::event::What;
use windlass::explanation::Heard;
use windlass::explanation::LedTo;
use windlass::forge::Kind;
use windlass::outcome::Report;
use windlass::outcome::Told;
use windlass::queue::Lane;
use windlass::queue::Settled;

use crate::scene;
use crate::scene::LIMITS;
use crate::scene::NEW;
use crate::scene::OLD;
use crate::scene::Sent;
use crate::scene::name;
use crate::scene::push;
use crate::world::door::Door;

const HEAD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Returns all records of deliveries in the queue, with events and without, which then has neither.
async fn heard(door: &Door) -> Vec<Heard> {
    let mut heard = Vec::new();
    while let Some(lease) = door.queue.next(&Lane::reports(), Duration::ZERO).await.unwrap() {
        let report: Report = serde_json::from_str(&lease.body).unwrap();
        assert_eq!(door.queue.ack(&lease).await.unwrap(), Settled::Done);
        let Told::Heard(one) = report.what else { panic!("{report:?}") };
        heard.push(one);
    }
    while let Some(lease) = door.queue.next(&Lane::events(), Duration::ZERO).await.unwrap() {
        assert_eq!(door.queue.ack(&lease).await.unwrap(), Settled::Done);
        heard.extend(lease.heard());
    }
    heard
}

#[tokio::test]
async fn a_signed_push_is_one_event_for_each_source_of_its_repository() {
    let door = scene::open(LIMITS).await;
    for (kind, sources) in [
        (Kind::Gitea, vec!["shop-gitea"]),
        (Kind::Forgejo, vec!["shop-forgejo"]),
        (Kind::Github, vec!["other", "shop-github"]),
        (Kind::Gitlab, vec!["shop-gitlab"]),
    ] {
        let reply = door.ask(&Sent::push(kind).bytes()).await;
        assert_eq!(
            (reply.status, reply.json()),
            (202, serde_json::json!({"id": "delivery-1", "events": sources.len()}))
        );
        let mut events = door.events().await;
        events.sort_by(|a, b| a.1.source.cmp(&b.1.source));
        let found: Vec<&str> = events.iter().map(|(_, event)| event.source.as_str()).collect();
        assert_eq!(found, sources);
        for (_, event) in &events {
            let Push { reference, before, after, forced, .. } = push();
            assert_eq!(event.what, What::Push { reference, before, after, forced });
        }
        if let [(first, _), (second, _)] = &events[..] {
            assert_ne!(first, second);
        }
    }
    door.close(0).await;
}

#[tokio::test]
async fn a_deleted_branch_is_an_event_without_an_after() {
    let door = scene::open(LIMITS).await;
    let (event, body) = Kind::Gitea.rules().make_up(&Push { before: None, after: None, ..push() });
    assert_eq!(event, "delete");
    assert_eq!(door.ask(&Sent::signed(Kind::Gitea, event, &body, NEW).bytes()).await.status, 202);
    let events = door.events().await;
    assert!(matches!(events[0].1.what, What::Push { after: None, .. }), "{events:?}");
    door.close(0).await;
}

#[tokio::test]
async fn authentic_deliveries_that_lead_to_nothing_are_ignored_with_a_reason() {
    let door = scene::open(LIMITS).await;
    let elsewhere = Kind::Gitea.rules().make_up(&Push { repository: "team/other".to_owned(), ..push() }).1;
    for (event, body, why) in [
        ("ping", "{}", "ping"),
        ("issues", "{}", "windlass does not act on the event issues"),
        ("push", "{\"ref\":", "of no use"),
        ("push", &elsewhere, "no source is configured for team/other"),
    ] {
        let reply = door.ask(&Sent::signed(Kind::Gitea, event, body, NEW).bytes()).await;
        assert_eq!(reply.status, 200);
        let said = reply.json()["ignored"].as_str().unwrap().to_owned();
        assert!(said.contains(why), "{said}");
    }
    door.close(0).await;
}

#[tokio::test]
async fn a_pull_request_is_queued_for_its_source() {
    let door = scene::open(LIMITS).await;
    let body = serde_json::json!({
        "action": "synchronized",
        "number": 7,
        "pull_request": { "head": { "sha": HEAD, "repo": null }, "base": { "ref": "main" } },
        "repository": { "full_name": "team/shop" },
    });
    let sent = Sent::signed(Kind::Gitea, "pull_request", &body.to_string(), NEW);
    assert_eq!(door.ask(&sent.bytes()).await.status, 202);
    let events = door.events().await;
    let (number, fork) = (7, true);
    let (activity, base) = (Activity::Updated, push().reference);
    let head = CommitId::parse(HEAD).unwrap();
    assert_eq!(events[0].1.what, What::PullRequest { number, activity, head, base, fork });
    door.close(0).await;
}

#[tokio::test]
async fn the_button_that_runs_a_check_again_is_queued_for_each_source_of_the_repository() {
    let door = scene::open(LIMITS).await;
    let body = serde_json::json!({
        "action": "rerequested",
        "check_run": { "name": "windlass/shop@east", "head_sha": HEAD },
        "repository": { "full_name": "team/shop" },
    });
    let sent = Sent::signed(Kind::Github, "check_run", &body.to_string(), NEW);
    assert_eq!(door.ask(&sent.bytes()).await.status, 202);
    let events = door.events().await;
    assert_eq!(events.len(), 2);
    for (_, event) in events {
        let What::Rerun { commit, target } = event.what else { panic!("{event:?}") };
        assert_eq!((commit.as_str(), target.unwrap().to_string().as_str()), (HEAD, "shop@east"));
    }
    door.close(0).await;
}

#[tokio::test]
async fn every_authentic_delivery_leaves_a_record_and_no_other_request_does() {
    let door = scene::open(LIMITS).await;
    let (event, body) = Kind::Gitea.rules().make_up(&push());
    let sent = Sent::signed(Kind::Gitea, event, &body, OLD).set("authorization", "Bearer of-news");
    assert_eq!(door.ask(&sent.bytes()).await.status, 202);
    assert_eq!(door.ask(&Sent::signed(Kind::Gitea, "ping", "{}", NEW).bytes()).await.status, 200);
    assert_eq!(door.ask(&sent.set("x-gitea-signature", "").bytes()).await.status, 401);
    let heard = heard(&door).await;
    assert_eq!(heard.len(), 2, "{heard:?}");
    let first = heard.iter().find(|one| one.event == event).unwrap();
    assert_eq!((first.delivery.as_str(), first.forge.as_str(), first.secret), ("delivery-1", "gitea", 1));
    assert_eq!(first.from, "127.0.0.1");
    assert!(first.read.starts_with("push of refs/heads/main in team/shop"), "{}", first.read);
    let events = vec![("delivery-1".to_owned(), name("shop-gitea"))];
    assert_eq!(first.led_to, LedTo::Accepted { events });
    let value =
        |name: &str| first.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    assert_eq!(value("x-gitea-event"), Some("push"));
    assert_eq!((value("x-gitea-signature"), value("authorization")), (Some("***"), Some("***")));
    let second = heard.iter().find(|one| one.event == "ping").unwrap();
    assert!(matches!(&second.led_to, LedTo::Ignored { why } if why.starts_with("ping")), "{second:?}");
    door.close(0).await;
}
