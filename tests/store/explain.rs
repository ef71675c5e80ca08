//! What `windlass explain` finds, in the store and as it is printed.

use std::path::Path;
use std::process::Command;
use std::process::Output;

use windlass::moment::Moment;
use windlass::object::ObjectId;
use windlass::outcome::Action;
use windlass::outcome::Change;
use windlass::outcome::Phase;
use windlass::outcome::Told;
use windlass::store::Posting;

use crate::desk::Desk;
use crate::desk::commit;
use crate::desk::covered;
use crate::desk::name;
use crate::desk::progress;
use crate::desk::roster;
use crate::desk::run;
use crate::desk::web;
use crate::place::Place;
use crate::place::on_both;

pub fn explain(folder: &Path, asked: &str) -> Output {
    let config = folder.join("windlass.toml");
    std::fs::write(&config, "[data]\ndir = \".\"\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.args(["explain", asked, "--config"]).arg(config).output().unwrap()
}

async fn how_far_each_status_has_come_is_told(place: Place) {
    let desk = Desk::new(&place).await;
    let targets = ["shop@east", "shop@north", "shop@south", "shop@west"];
    desk.hear(roster("d", &commit('a'), &targets)).await;
    for due in desk.due_rows().await {
        match due.context.as_str() {
            "windlass/shop@east" => desk.store.posted(&due, Moment(7_000)).await.unwrap(),
            "windlass/shop@north" => desk.store.postpone(&due, Moment(9_000), "it is away").await.unwrap(),
            "windlass/shop@south" => desk.store.give_up(&due, "it says no").await.unwrap(),
            _ => {}
        }
    }
    let statuses = desk.store.statuses(&name("git"), &commit('a')).await.unwrap();
    let told: Vec<_> = statuses.into_iter().map(|one| (one.context, one.posting)).collect();
    let waiting =
        |due_at, tries, why: Option<&str>| Posting::Waiting { due_at, tries, why: why.map(str::to_owned) };
    let expected = [
        ("windlass", waiting(Moment(0), 0, None)),
        ("windlass/shop@east", Posting::Posted(Moment(7_000))),
        ("windlass/shop@north", waiting(Moment(9_000), 1, Some("it is away"))),
        ("windlass/shop@south", Posting::GivenUp("it says no".to_owned())),
        ("windlass/shop@west", waiting(Moment(0), 0, None)),
    ];
    assert_eq!(told, expected.map(|(context, posting)| (context.to_owned(), posting)));
}

async fn a_status_that_was_posted_and_then_moved_on_waits_again(place: Place) {
    let desk = Desk::new(&place).await;
    desk.hear(roster("d", &commit('a'), &["shop@east"])).await;
    desk.post_all().await;
    desk.hear(run("r", "d", &commit('a'), Phase::Healthy)).await;
    let statuses = desk.store.statuses(&name("git"), &commit('a')).await.unwrap();
    let own = statuses.iter().find(|one| one.context == "windlass/shop@east").unwrap();
    assert!(matches!(own.posting, Posting::Waiting { tries: 0, .. }), "{own:?}");
    assert_eq!(own.phase, Phase::Healthy);
}

async fn a_commit_is_found_by_its_first_digits_and_no_other_is(place: Place) {
    let desk = Desk::new(&place).await;
    for digit in ['a', 'b'] {
        desk.hear(roster("d", &commit(digit), &["shop@east"])).await;
    }
    for (prefix, found) in [("aaaaaa", 1), ("b", 1), ("", 2), ("ab", 0), ("%", 0), ("f", 0)] {
        assert_eq!(desk.store.commits(prefix).await.unwrap().len(), found, "{prefix}");
    }
}

#[tokio::test]
async fn what_became_of_a_commit_is_printed() {
    let desk = Desk::new(&Place::Sqlite).await;
    desk.hear(roster("d", &commit('a'), &["shop@east"])).await;
    desk.hear(run("r", "d", &commit('a'), Phase::Applied)).await;
    desk.hear(run("r", "d", &commit('a'), Phase::Failed)).await;
    desk.post_all().await;
    let folder = desk.close().await;
    let output = explain(folder.path(), "AAAAAAA");
    let (text, words) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{words}");
    for part in [
        &format!("commit {} of source git\n", commit('a')),
        "  shop@east  failed: ",
        "    run r: failed after 4100 ms, 1970-01-01T00:00:05Z\n",
        "      configured Deployment/shop/web\n",
        "      ! Deployment/shop/web: quota exceeded\n",
        "    status windlass/shop@east, failed, ",
        "\": posted at 1970-01-01T00:00:00Z\n",
        "  the commit as a whole\n    status windlass, failed, ",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

/// Returns what is printed of what begins so.
fn printed(folder: &Path, asked: &str) -> String {
    let output = explain(folder, asked);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn how_far_each_status_has_come_is_printed() {
    let desk = Desk::new(&Place::Sqlite).await;
    desk.hear(roster("d", &commit('a'), &["shop@east", "shop@north", "shop@south", "shop@west"])).await;
    for due in desk.due_rows().await {
        match due.context.as_str() {
            "windlass/shop@north" => desk.store.postpone(&due, Moment(9_000), "it is away").await.unwrap(),
            "windlass/shop@south" => desk.store.give_up(&due, "it says no").await.unwrap(),
            _ => {}
        }
    }
    let many: Vec<String> = (0..21).map(|number| format!("shop@c{number}")).collect();
    desk.hear(roster("e", &commit('b'), &many.iter().map(String::as_str).collect::<Vec<_>>())).await;
    let folder = desk.close().await;
    let text = printed(folder.path(), "aaaaaa");
    for part in [
        "status windlass/shop@north, pending, \"queued\": not posted yet: it is away; tried 1 times, again at 1970-01-01T00:00:09Z\n",
        "status windlass/shop@south, pending, \"queued\": not posted: it says no\n",
        "status windlass/shop@west, pending, \"queued\": about to be posted\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let text = printed(folder.path(), "bbbbbb");
    let withheld = "not posted: the commit touches too many targets for a status each\n";
    assert_eq!(text.matches(withheld).count(), 21, "{text}");
}

#[tokio::test]
async fn a_run_that_made_another_commit_true_and_one_that_changed_much_are_printed_as_such() {
    let desk = Desk::new(&Place::Sqlite).await;
    for (dispatch, digit) in [("d", 'a'), ("e", 'b')] {
        desk.hear(roster(dispatch, &commit(digit), &["shop@east"])).await;
    }
    let change = |number: usize| Change {
        object: ObjectId { name: format!("web-{number}"), ..web() },
        action: Action::Configured,
        note: None,
    };
    let mut whole = progress("r", "e", &commit('b'), "shop@east", Phase::Healthy);
    whole.changes = (0..60).map(change).collect();
    desk.hear(Told::Run(whole)).await;
    // The older commit shares the fate of the newer one's run.
    desk.hear(covered("d", &commit('a'), "r")).await;
    let folder = desk.close().await;
    let note = "      it made bbbbbbbbbbbb true, where this target reads the same or newer\n";
    let (older, newer) = (printed(folder.path(), "aaaaaa"), printed(folder.path(), "bbbbbb"));
    assert!(older.contains(note) && !newer.contains("it made "), "{older}\n{newer}");
    assert_eq!(newer.matches("configured Deployment/shop/web-").count(), 50);
    assert!(newer.contains("      and 10 more objects\n"), "{newer}");
}

#[tokio::test]
async fn what_is_not_known_is_said_and_what_is_no_commit_is_refused() {
    let desk = Desk::new(&Place::Sqlite).await;
    let folder = desk.close().await;
    for (asked, words) in [
        ("aaaaaa", "no target was touched"),
        ("aaaaa", "at least 6"),
        ("main/12", "characters of a commit or a delivery"),
    ] {
        let output = explain(folder.path(), asked);
        assert_eq!(output.status.code(), Some(1), "{asked}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(words), "{asked}: {said}");
    }
}

on_both!(
    how_far_each_status_has_come_is_told,
    a_status_that_was_posted_and_then_moved_on_waits_again,
    a_commit_is_found_by_its_first_digits_and_no_other_is,
);
