//! What deliveries become beside pushes, and the record that each leaves.

use std::time::Duration;

use windlass::commit::CommitId;
use windlass::event::Activity;
use windlass::event::What;
use windlass::explanation::Heard;
use windlass::explanation::LedTo;
use windlass::forge::Kind;
use windlass::outcome::Report;
use windlass::outcome::Told;
use windlass::queue::Lane;
use windlass::queue::Settled;

use crate::Door;
use crate::LIMITS;
use crate::NEW;
use crate::OLD;
use crate::Sent;
use crate::name;

const HEAD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

impl Door {
    /// Returns all records of deliveries in the queue, which then has none.
    async fn heard(&self) -> Vec<Heard> {
        let mut heard = Vec::new();
        while let Some(lease) = self.queue.next(&Lane::reports(), Duration::ZERO).await.unwrap() {
            let report: Report = serde_json::from_str(&lease.body).unwrap();
            assert_eq!(self.queue.ack(&lease).await.unwrap(), Settled::Done);
            let Told::Heard(one) = report.what else { panic!("{report:?}") };
            heard.push(one);
        }
        heard
    }
}

#[tokio::test]
async fn a_pull_request_is_queued_for_its_source() {
    let door = Door::open(LIMITS).await;
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
    let (activity, base) = (Activity::Updated, crate::push().reference);
    let head = CommitId::parse(HEAD).unwrap();
    assert_eq!(events[0].1.what, What::PullRequest { number, activity, head, base, fork });
    door.close().await;
}

#[tokio::test]
async fn the_button_that_runs_a_check_again_is_queued_for_each_source_of_the_repository() {
    let door = Door::open(LIMITS).await;
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
    door.close().await;
}

#[tokio::test]
async fn every_authentic_delivery_leaves_a_record_and_no_other_request_does() {
    let door = Door::open(LIMITS).await;
    let (event, body) = Kind::Gitea.rules().make_up(&crate::push());
    let sent = Sent::signed(Kind::Gitea, event, &body, OLD).set("authorization", "Bearer of-news");
    assert_eq!(door.ask(&sent.bytes()).await.status, 202);
    assert_eq!(door.ask(&Sent::signed(Kind::Gitea, "ping", "{}", NEW).bytes()).await.status, 200);
    assert_eq!(door.ask(&sent.set("x-gitea-signature", "").bytes()).await.status, 401);
    let heard = door.heard().await;
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
    assert_eq!(door.events().await.len(), 1);
    door.close().await;
}
