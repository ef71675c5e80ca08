//! What follows tags of a range, one tag or one commit.

use windlass::commit::CommitId;
use windlass::dispatch::Step;
use windlass::reference::Reference;

use crate::world::manifests::config_map;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::windlass::MAIN;
use crate::world::windlass::World;
use crate::world::windlass::source;

fn following(line: &str) -> Setup {
    Setup::default().applications([App::named("shop").following(line)])
}

/// Pushes a `main`: Gitea takes a status, and then fails over it, where there is no default branch.
fn make_main(w: &World) {
    w.commit(&[("README.md", "main")]);
}

fn tag(version: &str) -> String {
    format!("refs/tags/{version}")
}

/// Commits a value and tags the commit at the forge; no delivery is sent.
fn release(w: &World, version: &str, value: &str) -> CommitId {
    let commit = w.repo.commit(version, &[("shop/one.yaml", &config_map("one", value))]);
    w.repo.slip_in(&tag(version));
    commit
}

/// Posts the delivery for a tag, new or moved from `before`.
async fn tell(w: &mut World, version: &str, before: Option<&CommitId>, commit: &CommitId) {
    assert_eq!(w.deliver_of(&tag(version), before, Some(commit)).await, 202);
    w.delivered.push(commit.clone());
}

/// Releases a value, tells of it and settles.
async fn ship(w: &mut World, version: &str, value: &str) -> CommitId {
    let commit = release(w, version, value);
    tell(w, version, None, &commit).await;
    w.settle().await;
    commit
}

/// Releases what must change nothing, and checks that the dispatch says so at once.
async fn in_vain(w: &mut World, version: &str, why: &str) {
    let (before, runs) = (w.value("one").await, w.runs().await.len());
    let commit = release(w, version, "in vain");
    tell(w, version, None, &commit).await;
    let step = w.dispatch_step().await;
    assert!(matches!(&step, Step::Nothing { why: found } if found.contains(why)), "{version}: {step:?}");
    w.settle().await;
    assert_eq!((w.value("one").await, w.runs().await.len()), (before, runs), "{version}");
    assert_eq!(w.repo.statuses(&commit).await, [], "{version}");
}

async fn delete(w: &World, version: &str, before: &CommitId) {
    w.repo.slip_out(&tag(version));
    assert_eq!(w.deliver_of(&tag(version), Some(before), None).await, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_highest_tag_of_a_range_is_made_true_and_no_other_gets_a_status() {
    following("tag = \">=1, <2\"")
        .run(async |w| {
            make_main(w);
            let first = ship(w, "v1.0.0", "1").await;
            w.expect(&first, "shop@east", "success", &["1 created"]).await;
            let second = ship(w, "1.10.0", "2").await;
            w.expect(&second, "shop@east", "success", &["1 configured"]).await;
            in_vain(w, "v1.9.0", "as last dispatched").await;
            for strange in ["v2.0.0", "v1.11.0-rc.1", "v2.0.0-rc.1", "latest", "v1.99"] {
                in_vain(w, strange, "no application reads").await;
            }
            w.ship(&[("shop/one.yaml", &config_map("one", "of main"))]).await;
            assert!(matches!(w.dispatch_step().await, Step::Nothing { .. }));
            assert_eq!(w.value("one").await.as_deref(), Some("2"));
            w.report_all().await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_annotated_tag_is_answered_on_its_commit() {
    following("tag = \"1.x\"")
        .run(async |w| {
            make_main(w);
            let commit = w.repo.commit("one", &[("shop/one.yaml", &config_map("one", "1"))]);
            w.repo.git(&["tag", "--annotate", "v1.0.0", "--message", "one"]);
            w.repo.git(&["push", "--quiet", "origin", "v1.0.0"]);
            tell(w, "v1.0.0", None, &commit).await;
            assert_eq!(w.dispatch_step().await, Step::Dispatched { jobs: 1, superseded: 0 });
            w.settle().await;
            w.expect(&commit, "shop@east", "success", &["1 created"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_the_chosen_tag_rolls_back_to_the_next_lower_one() {
    following("tag = \"1.x\"")
        .run(async |w| {
            make_main(w);
            let first = ship(w, "v1.0.0", "1").await;
            let second = ship(w, "v1.1.0", "2").await;
            assert_eq!(w.value("one").await.as_deref(), Some("2"));
            delete(w, "v1.1.0", &second).await;
            assert_eq!(w.dispatch_step().await, Step::Dispatched { jobs: 1, superseded: 0 });
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("1"));
            w.expect_healed(&first);
            delete(w, "v1.0.0", &first).await;
            let step = w.dispatch_step().await;
            let why = "no tag is a version within 1.x: nothing is applied and nothing deleted";
            assert_eq!(step, Step::Nothing { why: why.to_owned() });
            assert_eq!(w.value("one").await.as_deref(), Some("1"));
            w.report_all().await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_tag_is_made_true_where_it_stands_now() {
    following("tag = \"1.x\"")
        .run(async |w| {
            make_main(w);
            let first = ship(w, "v1.0.0", "1").await;
            let second = release(w, "v1.0.0", "2");
            tell(w, "v1.0.0", Some(&first), &second).await;
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("2"));
            w.expect(&second, "shop@east", "success", &["1 configured"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_finds_tags_of_which_no_delivery_told() {
    following("tag = \"1.x\"")
        .run(async |w| {
            make_main(w);
            let first = release(w, "v1.0.0", "1");
            assert_eq!(w.sweep().await.moved, 1);
            w.settle().await;
            let second = release(w, "v1.1.0", "2");
            release(w, "v0.9.0", "3");
            assert_eq!(w.sweep().await.moved, 1);
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("2"));
            w.expect(&second, "shop@east", "success", &["1 configured"]).await;
            w.repo.slip_out(&tag("v1.1.0"));
            assert_eq!(w.sweep().await.moved, 1);
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("1"));
            w.expect(&first, "shop@east", "success", &[]).await;
            w.repo.slip_out(&tag("v1.0.0"));
            assert_eq!(w.sweep().await.moved, 0, "nothing is left to make true");
            assert!(w.store().seen(&source()).await.unwrap().is_empty());
            assert_eq!(w.value("one").await.as_deref(), Some("1"));
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_higher_tag_that_the_repository_does_not_show_yet_is_waited_for() {
    following("tag = \"1.x\"")
        .run(async |w| {
            make_main(w);
            let first = ship(w, "v1.5.0", "1").await;
            let second = w.repo.commit("two", &[("shop/one.yaml", &config_map("one", "2"))]);
            assert_eq!(w.deliver_of(&tag("v1.4.0"), None, Some(&second)).await, 202);
            let step = w.dispatch_step().await;
            assert!(matches!(step, Step::Nothing { .. }), "a lower one is not waited for: {step:?}");
            tell(w, "v1.6.0", None, &second).await;
            let step = w.dispatch_step().await;
            assert!(matches!(&step, Step::Retried { why } if why.contains("refs/tags/v1.6.0")), "{step:?}");
            w.repo.slip_in(&tag("v1.6.0"));
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["1 configured"]).await;
            assert_eq!(w.verdicts(&first).await.len(), 1);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_that_is_called_like_the_tag_changes_nothing() {
    for line in ["ref = \"refs/tags/v1.0.0\"", "tag = \"1.x\""] {
        following(line)
            .run(async |w| {
                make_main(w);
                ship(w, "v1.0.0", "of the tag").await;
                let other = w.repo.commit("other", &[("shop/one.yaml", &config_map("one", "of a branch"))]);
                for branch in ["refs/heads/v1.0.0", "refs/heads/v1.1.0"] {
                    w.repo.slip_in(branch);
                    assert_eq!(w.deliver_of(branch, None, Some(&other)).await, 202);
                    let step = w.dispatch_step().await;
                    assert!(
                        matches!(&step, Step::Nothing { why } if why.contains("no application")),
                        "{step:?}"
                    );
                }
                assert_eq!(w.sweep().await.moved, 0);
                w.ask_again("shop").await;
                w.settle().await;
                assert_eq!(w.value("one").await.as_deref(), Some("of the tag"), "{line}");
                assert_eq!(w.repo.statuses(&other).await, []);
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_called_like_the_branch_changes_nothing() {
    World::run(async |w| {
        w.ship(&[("shop/one.yaml", &config_map("one", "of the branch"))]).await;
        w.settle().await;
        in_vain(w, "main", "no application reads refs/tags/main").await;
        assert_eq!(w.sweep().await.moved, 0);
        w.ask_again("shop").await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("of the branch"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_tag_is_dispatched_to_all_that_follow_it() {
    let apps =
        [("exact", "ref = \"refs/tags/v1.0.0\""), ("range", "tag = \"1.x\""), ("other", "tag = \"2.x\"")];
    let setup = Setup::default().applications(apps.map(|(name, line)| App::named(name).following(line)));
    setup
        .run(async |w| {
            make_main(w);
            let files: Vec<(String, String)> =
                apps.map(|(name, _)| (format!("{name}/a.yaml"), config_map(name, "1"))).to_vec();
            let files: Vec<(&str, &str)> =
                files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            let commit = w.repo.commit("all", &files);
            w.repo.slip_in(&tag("v1.0.0"));
            tell(w, "v1.0.0", None, &commit).await;
            assert_eq!(w.dispatch_step().await, Step::Dispatched { jobs: 2, superseded: 0 });
            w.settle().await;
            assert_eq!(w.east.config_maps(&w.namespace).await, ["exact", "range"]);
            w.expect(&commit, "", "success", &[]).await;
        })
        .await;
}

/// Lets `shop` follow a commit from the next start on, starts anew and sweeps as a start does.
async fn fix(w: &mut World, commit: &CommitId) -> usize {
    w.change_settings(|all| {
        // The door knows no applications.
        for one in all.applications.iter_mut().take(1) {
            one.reference = Reference::Commit(commit.clone());
        }
    });
    w.restart().await;
    w.sweeper().step(&source(), true).await.unwrap().moved
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fixed_commit_stays_whatever_is_pushed() {
    World::run(async |w| {
        let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
        w.settle().await;
        assert_eq!(fix(w, &first).await, 1);
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        w.expect_healed(&first);
        assert_eq!(fix(w, &first).await, 0, "it was dispatched");
        assert_eq!(w.sweep().await.moved, 0);
        w.repo.git(&["checkout", "--quiet", "--orphan", "other"]);
        w.ship(&[("shop/one.yaml", &config_map("one", "3"))]).await;
        let step = w.dispatch_step().await;
        assert!(matches!(&step, Step::Nothing { why } if why.contains("no application")), "{step:?}");
        w.ask_again("shop").await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"), "a pass makes the fixed commit true");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fixed_commit_is_fetched_by_its_id_and_one_that_is_not_there_changes_nothing() {
    World::run(async |w| {
        let hidden = w.repo.commit("hidden", &[("shop/one.yaml", &config_map("one", "1"))]);
        w.repo.git(&["commit", "--quiet", "--allow-empty", "--message", "on top"]);
        w.repo.slip_in(MAIN);
        let absent = CommitId::parse(&"d".repeat(40)).unwrap();
        assert_eq!(fix(w, &absent).await, 1);
        let step = w.dispatch_step().await;
        assert!(matches!(&step, Step::Nothing { why } if why.contains("has no commit dddd")), "{step:?}");
        assert_eq!(w.sweep().await.moved, 1, "it is asked for until it is there");
        assert!(matches!(w.dispatch_step().await, Step::Nothing { .. }));
        assert_eq!(fix(w, &hidden).await, 1);
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        w.expect(&hidden, "shop@east", "success", &["1 created"]).await;
    })
    .await;
}
