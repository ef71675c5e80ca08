//! Unsigned is unheard; no input takes windlass down; everything can be rebuilt.

use serde_json::json;
use windlass::queue::Lane;
use windlass::role::Part;
use windlass::settings::Environment;
use windlass::settings::Settings;

use crate::world::manifests::config_map;
use crate::world::proxy::is_write;
use crate::world::setup::HOOK_SECRET;
use crate::world::setup::Setup;
use crate::world::windlass::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_8_unsigned_is_unheard() {
    World::run(async |w| {
        let first = w.commit(&[("shop/one.yaml", &config_map("one", "1"))]);
        let body = json!({ "ref": "refs/heads/main", "after": first.as_str(),
            "repository": { "full_name": w.repo.full_name() } });
        let url = format!("{}/hooks/gitea", w.door_url());
        let bare = reqwest::Client::new().post(&url).header("x-gitea-event", "push").json(&body);
        assert_eq!(bare.try_clone().unwrap().send().await.unwrap().status(), 401);
        let signatures = [String::new(), "0".repeat(64), HOOK_SECRET.to_owned()];
        for signature in signatures {
            let signed = bare.try_clone().unwrap().header("x-gitea-signature", &signature);
            assert_eq!(signed.send().await.unwrap().status(), 401, "{signature:?}");
        }
        assert_eq!(w.knock("push", body.to_string(), "the secret of another hook").await, 401);
        assert_eq!(w.queue().depth(&Lane::events()).await.unwrap().count, 0);
        assert_eq!(w.value("one").await, None);
    })
    .await;
}

#[test]
fn promise_8_no_settings_do_without_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    std::fs::write(folder.path().join("short"), "fifteen-letters\n").unwrap();
    let cases = [
        ("", "webhook_secrets"),
        ("webhook_secrets = []", "webhook_secrets"),
        ("webhook_secrets = [{ file = \"empty\" }]", "at least 16"),
        ("webhook_secrets = [{ file = \"short\" }]", "at least 16"),
        ("webhook_secrets = [{ file = \"absent\" }]", "absent"),
        ("webhook_secrets = [{ env = \"ABSENT\" }]", "ABSENT"),
    ];
    for (line, words) in cases {
        let text =
            format!("[[forges]]\nname = \"a\"\nkind = \"gitea\"\nurl = \"https://a.example.org\"\n{line}\n");
        let file = folder.path().join("windlass.toml");
        std::fs::write(&file, text).unwrap();
        let problems = Settings::load(Some(&file), &Environment::new(), &Part::whole()).expect_err(line);
        assert!(problems.iter().any(|problem| problem.to_string().contains(words)), "{line}: {problems:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_9_hostile_commits_are_red_with_a_reason_and_the_next_one_is_green() {
    World::run(async |w| {
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                    d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
        let deep = format!("a: {}1{}\n", "[".repeat(20_000), "]".repeat(20_000));
        let large = format!("# {}\n", "x".repeat(2 << 20));
        let far = format!("shop/{}a.yaml", "d/".repeat(20));
        let (bomb, deep) = (format!("{}{bomb}", config_map("x", "1")), format!("{}{deep}", config_map("x", "1")));
        let cases = [
            ("shop/bomb.yaml", bomb.as_str(), "bomb.yaml"),
            ("shop/deep.yaml", &deep, "deep.yaml"),
            ("shop/large.yaml", &large, "large.yaml"),
            (&far, "a: 1\n", "deep"),
        ];
        for (path, text, words) in cases {
            let commit = w.ship(&[(path, text)]).await;
            w.settle().await;
            w.expect(&commit, "shop@east", "failure", &[words]).await;
            w.repo.remove(&[path]);
        }
        let last = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        w.expect(&last, "shop@east", "success", &["1 created"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_9_a_push_that_is_too_large_to_fetch_is_told_on_its_commit() {
    // Digests do not compress.
    let digest = |n: u32| uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &n.to_le_bytes()).to_string();
    let noise: String = (0..100_000).map(digest).collect();
    Setup::default()
        .section("[source]\nfetch_bytes = \"1MiB\"")
        .run(async |w| {
            w.expect_dead();
            let first = w.ship(&[("other/noise.txt", &noise)]).await;
            w.settle().await;
            w.expect(&first, "shop@east", "error", &["more than 1048576 bytes"]).await;
            w.expect(&first, "", "error", &["1 in error: shop@east"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_9_a_delivery_that_is_too_large_or_no_sense_costs_nothing() {
    World::run(async |w| {
        let large = format!("{{\"x\":\"{}\"}}", "x".repeat(6 << 20));
        assert_eq!(w.knock("push", large, HOOK_SECRET).await, 413);
        for nonsense in ["", "{", "[]", "{\"ref\":1}", &"[".repeat(100_000)] {
            assert_eq!(w.knock("push", nonsense.to_owned(), HOOK_SECRET).await, 200, "{nonsense:.20}");
        }
        let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["1 created"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_9_far_sides_that_break_off_are_asked_again() {
    Setup::proxied()
        .run(async |w| {
            w.before_gitea().cut(1, |line| line.contains("upload-pack"));
            w.before_gitea().refuse(1, 502, |line| line.starts_with("POST") && line.contains("upload-pack"));
            w.before_east().cut(1, |line| line.contains("dryRun"));
            w.before_east().cut_answer(1, |line| is_write(line) && line.contains("configmaps/one"));
            w.before_east().refuse(1, 429, |line| is_write(line) && line.contains("configmaps/one"));
            let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("1"));
            w.expect(&first, "shop@east", "success", &["healthy in"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_10_without_its_data_windlass_goes_on_from_git_and_the_cluster() {
    Setup::proxied()
        .run(async |w| {
            let two = ("shop/two.yaml", config_map("two", "2"));
            let first = w.ship(&[("shop/one.yaml", &config_map("one", "1")), (two.0, &two.1)]).await;
            w.settle().await;
            w.expect_forgotten();
            w.lose_data().await;
            w.before_east().asked();
            // A delivery of what is true already finds that no object is to be written.
            w.push(&first).await;
            w.settle().await;
            let mut writes = w.before_east().asked();
            writes.retain(|line| is_write(line) && !line.contains("/configmaps/windlass-shop?"));
            assert!(writes.is_empty(), "{writes:#?}");
            w.expect_forgotten();
            w.lose_data().await;
            w.repo.remove(&[two.0]);
            let second = w.ship(&[("shop/three.yaml", &config_map("three", "3"))]).await;
            w.settle().await;
            assert_eq!(w.east.config_maps(&w.namespace).await, ["one", "three"]);
            w.expect(&second, "shop@east", "success", &["1 created, 1 pruned"]).await;
        })
        .await;
}
