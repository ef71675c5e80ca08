//! Why a delivery led to what it did, and what else deliveries say than that a ref moved.

use windlass::application::Name;
use windlass::application::Target;
use windlass::clock::now;
use windlass::commit::CommitId;
use windlass::dispatch::Step;
use windlass::event::Event;
use windlass::event::What;
use windlass::explanation::Considered;
use windlass::explanation::LedTo;
use windlass::queue::Draft;

use crate::world::manifests::config_map;
use crate::world::setup::App;
use crate::world::setup::HOOK_SECRET;
use crate::world::setup::Setup;
use crate::world::unique;

use crate::world::windlass::World;
use crate::world::windlass::source;

/// Returns what dispatch made of the last delivery.
pub async fn last_considered(w: &World) -> Considered {
    let heard = w.store().deliveries(None, 1).await.unwrap().remove(0);
    let LedTo::Accepted { events } = &heard.led_to else { panic!("{heard:?}") };
    w.store().considered(&events[0].0).await.unwrap().expect("it was looked at")
}

fn decisions(considered: &Considered) -> Vec<String> {
    let line = |one: &windlass::explanation::Decision| {
        format!("{} {}: {}", if one.touched { '+' } else { '-' }, one.subject, one.why)
    };
    let mut lines: Vec<String> = considered.decisions.iter().map(line).collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_says_which_applications_it_touched_and_why_not_the_others() {
    let setup = Setup::default().applications([App::named("shop"), App::named("blog")]);
    setup
        .run(async |w| {
            let first = w
                .ship(&[("shop/a.yaml", &config_map("a", "1")), ("blog/b.yaml", &config_map("b", "1"))])
                .await;
            w.settle().await;
            let considered = last_considered(w).await;
            assert_eq!(considered.commits, [first]);
            assert_eq!(considered.end, "dispatched: jobs 2");
            assert!(decisions(&considered).iter().all(|line| line.starts_with('+')), "{considered:?}");
            let second = w.ship(&[("shop/a.yaml", &config_map("a", "2"))]).await;
            w.settle().await;
            let considered = last_considered(w).await;
            assert_eq!(considered.commits, [second]);
            let lines = decisions(&considered);
            assert_eq!(lines.len(), 2, "{lines:?}");
            assert!(lines[0].starts_with("+ shop@east: what it reads"), "{lines:?}");
            assert!(
                lines[1].starts_with("- blog@east: what it reads is as it was last dispatched"),
                "{lines:?}"
            );
            // A ref that nobody reads is explained by what is read instead.
            let body = serde_json::json!({
                "ref": "refs/heads/other", "before": "0".repeat(40), "after": "a".repeat(40),
                "repository": { "full_name": w.repo.full_name() },
            });
            assert_eq!(w.knock("push", body.to_string(), HOOK_SECRET).await, 202);
            w.settle().await;
            let considered = last_considered(w).await;
            assert!(
                considered.end.starts_with("nothing to do: no application reads refs/heads/other"),
                "{considered:?}"
            );
            assert_eq!(
                decisions(&considered),
                ["- blog: it follows refs/heads/main", "- shop: it follows refs/heads/main"]
            );
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_is_taken_and_checked_by_nobody_yet() {
    World::run(async |w| {
        let body = serde_json::json!({
            "action": "opened", "number": 7,
            "pull_request": { "head": { "sha": "a".repeat(40), "repo": null }, "base": { "ref": "main" } },
            "repository": { "full_name": w.repo.full_name() },
        });
        assert_eq!(w.knock("pull_request", body.to_string(), HOOK_SECRET).await, 202);
        let step = w.dispatch_step().await;
        assert!(matches!(&step, Step::Nothing { why } if why.contains("pull request 7")), "{step:?}");
        w.settle().await;
        assert!(last_considered(w).await.end.contains("pull request 7 is not checked"));
        assert_eq!(w.runs().await.len(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_button_that_runs_a_check_again_makes_a_full_pass() {
    World::run(async |w| {
        let commit = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        w.east.delete(&w.path_of("one")).await;
        w.queue().publish(vec![Draft::event(&pressed(&commit, None))]).await.unwrap();
        assert_eq!(w.dispatch_step().await, Step::Asked { targets: 1 });
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        w.expect(&commit, "shop@east", "success", &["healthy"]).await;
        // The forge was told once more, as it waits for that.
        let told = w.repo.statuses(&commit).await;
        let verdicts =
            |context: &str| told.iter().filter(|one| one.context == context && one.is_final()).count();
        assert_eq!((verdicts("windlass/shop@east"), verdicts("windlass")), (2, 2), "{told:?}");
        w.expect_repeated();
        // A commit that touched nothing has nothing to run again.
        let none = CommitId::parse(&"b".repeat(40)).unwrap();
        w.queue().publish(vec![Draft::event(&pressed(&none, None))]).await.unwrap();
        let step = w.dispatch_step().await;
        assert!(matches!(&step, Step::Nothing { why } if why.contains("touched no target")), "{step:?}");
        w.settle().await;
    })
    .await;
}

/// The event of the button that runs the checks of a commit again.
fn pressed(commit: &CommitId, target: Option<Target>) -> Event {
    Event {
        version: windlass::event::VERSION,
        id: unique(),
        source: source(),
        what: What::Rerun { commit: commit.clone(), target },
        received_at: now(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_button_at_a_commit_that_was_overtaken_has_the_tip_made_true() {
    World::run(async |w| {
        let older = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        let tip = w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
        w.settle().await;
        w.east.delete(&w.path_of("one")).await;
        w.queue().publish(vec![Draft::event(&pressed(&older, None))]).await.unwrap();
        assert_eq!(w.dispatch_step().await, Step::Asked { targets: 1 });
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("2"), "the pass looked at all objects");
        w.expect(&older, "shop@east", "success", &[]).await;
        w.expect(&tip, "shop@east", "success", &[]).await;
        w.expect_repeated();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_button_asks_for_no_target_that_left_the_settings() {
    let setup = Setup::default().applications([App::named("shop"), App::named("blog")]);
    setup
        .run(async |w| {
            let files = [("shop/a.yaml", config_map("a", "1")), ("blog/b.yaml", config_map("b", "1"))];
            let commit = w.ship(&files.each_ref().map(|(path, text)| (*path, text.as_str()))).await;
            w.settle().await;
            w.change_settings(|all| all.applications.retain(|one| one.name.as_str() != "blog"));
            w.restart().await;
            w.queue().publish(vec![Draft::event(&pressed(&commit, None))]).await.unwrap();
            assert_eq!(w.dispatch_step().await, Step::Asked { targets: 1 });
            let blog =
                Target { application: Name::parse("blog").unwrap(), cluster: Name::parse("east").unwrap() };
            w.queue().publish(vec![Draft::event(&pressed(&commit, Some(blog)))]).await.unwrap();
            w.settle().await;
            w.expect(&commit, "shop@east", "success", &[]).await;
            w.expect_repeated();
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_tells_of_nothing_is_seen_to_be_quiet() {
    World::run(async |w| {
        assert!(!w.sweep().await.quiet);
        for (value, quiet) in [("1", false), ("2", true)] {
            w.commit(&[("shop/one.yaml", &config_map("one", value))]);
            let swept = w.sweep().await;
            assert_eq!((swept.moved, swept.quiet), (1, quiet), "{value}");
            w.settle().await;
        }
        w.ship(&[("shop/one.yaml", &config_map("one", "3"))]).await;
        w.settle().await;
        assert!(!w.sweep().await.quiet, "a delivery ends the alarm");
        w.settle().await;
    })
    .await;
}
