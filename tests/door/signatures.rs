//! Whose word counts: secrets and signatures.

use windlass::clock::now;
use windlass::event::Push;
use windlass::forge::Kind;
use windlass::moment::Moment;
use windlass::secret::Secret;

use crate::scene;
use crate::scene::KEY;
use crate::scene::LIMITS;
use crate::scene::NEW;
use crate::scene::OLD;
use crate::scene::OWN;
use crate::scene::Sent;
use crate::scene::push;

#[tokio::test]
async fn a_webhook_of_one_source_has_its_own_secret_and_speaks_for_it_alone() {
    let door = scene::open(LIMITS).await;
    let (event, body) = Kind::Github.rules().make_up(&push());
    let (_, foreign) = Kind::Github.rules().make_up(&Push { repository: "team/blog".to_owned(), ..push() });
    let cases = [
        ("/hooks/github/other", OWN, &body, 202),
        ("/hooks/github/other", NEW, &body, 401),
        ("/hooks/github", OWN, &body, 401),
        ("/hooks/github/shop-github", OWN, &body, 401),
        // Without secrets of its own a source's webhook has those of the forge.
        ("/hooks/github/shop-github", NEW, &body, 202),
        ("/hooks/github/other", OWN, &foreign, 200),
        ("/hooks/github/shop-gitea", OWN, &body, 404),
        ("/hooks/github/nobody", NEW, &body, 404),
        ("/hooks/github/other/more", OWN, &body, 404),
        ("/hooks/github/", NEW, &body, 404),
    ];
    for (path, secret, body, expected) in cases {
        let sent = Sent { path: path.to_owned(), ..Sent::signed(Kind::Github, event, body, secret) };
        let reply = door.ask(&sent.bytes()).await;
        assert_eq!(reply.status, expected, "{path} {secret}: {}", reply.body);
        let sources: Vec<String> =
            door.events().await.iter().map(|(_, event)| event.source.to_string()).collect();
        let only = path.rsplit('/').next().unwrap();
        assert_eq!(sources, if expected == 202 { vec![only] } else { Vec::new() }, "{path} {secret}");
    }
    door.close(0).await;
}

#[tokio::test]
async fn every_configured_secret_holds_and_a_delivery_is_taken_as_often_as_it_comes() {
    let door = scene::open(LIMITS).await;
    let (event, body) = Kind::Github.rules().make_up(&push());
    for secret in [NEW, OLD, NEW] {
        assert_eq!(door.ask(&Sent::signed(Kind::Github, event, &body, secret).bytes()).await.status, 202);
    }
    assert_eq!(door.events().await.len(), 6);
    door.close(0).await;
}

#[tokio::test]
async fn whatever_is_wrong_with_a_signature_the_answer_is_the_same() {
    let door = scene::open(LIMITS).await;
    let (event, body) = Kind::Github.rules().make_up(&push());
    let digits = "0".repeat(64);
    let mut twice = Sent::push(Kind::Github);
    twice.headers.push(twice.headers.last().unwrap().clone());
    let mut tampered = Sent::push(Kind::Github);
    tampered.body.push('\n');
    let mut none = Sent::push(Kind::Github);
    none.headers.retain(|(name, _)| !name.contains("signature"));
    let sent = [
        Sent::signed(Kind::Github, event, &body, "some other secret"),
        Sent::push(Kind::Github).set("x-hub-signature-256", "sha256="),
        Sent::push(Kind::Github).set("x-hub-signature-256", ""),
        Sent::push(Kind::Github).set("x-hub-signature-256", &format!("sha256={digits}")),
        Sent::push(Kind::Github).set("x-hub-signature-256", &format!("sha1={digits}")),
        Sent::push(Kind::Github).set("x-hub-signature-256", "sha256=é"),
        twice,
        tampered,
        none,
    ];
    let mut answers = Vec::new();
    for sent in sent {
        let reply = door.ask(&sent.bytes()).await;
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        answers.push((reply.status, reply.body));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].0, 401);
    door.close(0).await;
}

#[tokio::test]
async fn a_delivery_with_a_signing_token_holds_for_its_time_and_by_its_signature_alone() {
    let door = scene::open(LIMITS).await;
    let (event, body) = Kind::Gitlab.rules().make_up(&push());
    let signed = |minutes: i64| {
        let at = Moment(now().0 + minutes * 60_000);
        let key = Secret::new(KEY).unwrap();
        let headers = Kind::Gitlab.rules().sign(event, "delivery-1", body.as_bytes(), &key, at);
        Sent { headers, body: body.clone(), path: "/hooks/gitlab".to_owned() }
    };
    for (sent, status) in [
        (signed(0), 202),
        (signed(-4), 202),
        (signed(4), 202),
        (signed(-6), 401),
        (signed(6), 401),
        (signed(-6).set("x-gitlab-token", NEW), 401),
        (signed(0).set("webhook-id", "delivery-2").set("x-gitlab-token", NEW), 401),
        (Sent::push(Kind::Gitlab).set("x-gitlab-token", KEY), 401),
    ] {
        assert_eq!(door.ask(&sent.bytes()).await.status, status, "{:?}", sent.headers);
    }
    assert_eq!(door.events().await.len(), 3);
    door.close(0).await;
}

#[tokio::test]
async fn a_form_is_heard_as_its_forge_signs_it() {
    let door = scene::open(LIMITS).await;
    let (event, json) = Kind::Github.rules().make_up(&push());
    let encoded: String = json.bytes().map(|b| format!("%{b:02X}")).collect();
    let form = format!("payload={encoded}");
    for (kind, signed) in [(Kind::Github, &form), (Kind::Gitea, &json)] {
        let mut sent =
            Sent::signed(kind, event, signed, NEW).set("content-type", "application/x-www-form-urlencoded");
        sent.body.clone_from(&form);
        assert_eq!(door.ask(&sent.bytes()).await.status, 202, "{kind}");
    }
    assert_eq!(door.events().await.len(), 3);
    door.close(0).await;
}
