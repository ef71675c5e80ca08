//! What single posts are answered.

use windlass::commit::CommitId;
use windlass::courier::Courier;
use windlass::forge::Answer;
use windlass::forge::Kind;
use windlass::forge::StatusPost;
use windlass::outcome::Phase;
use windlass::secret::Secret;

use crate::lab::Lab;
use crate::lab::Role;
use crate::lab::SHOP;
use crate::lab::TOKEN;

/// A status that is posted.
struct Post<'a> {
    repository: &'a str,
    digit: &'a str,
    token: &'a str,
    target_url: Option<&'a str>,
}

const POST: Post<'static> = Post { repository: SHOP, digit: "a", token: TOKEN, target_url: None };

impl Post<'_> {
    async fn send(&self, lab: &Lab, phase: Phase, text: &str) -> Answer {
        let rules = Kind::Gitlab.rules();
        let request = rules.describe(&StatusPost {
            api: &rules.api(&lab.stand.url),
            repository: self.repository,
            commit: &CommitId::parse(&self.digit.repeat(40)).unwrap(),
            context: "windlass/shop@east",
            phase,
            description: text,
            target_url: self.target_url,
        });
        let courier = Courier::new().unwrap().near([lab.stand.url.as_str()]);
        let token = Secret::new(self.token).unwrap();
        courier.send(&request, &token, |answer| rules.classify(&request, answer)).await.unwrap()
    }
}

/// One that has the commit aaa….
fn lab() -> Lab {
    let lab = Lab::start();
    lab.push("main", &"a".repeat(40));
    lab
}

/// Returns what its statuses say.
fn shows(lab: &Lab) -> Vec<(String, String)> {
    let state = lab.state();
    state.statuses.iter().map(|one| (one.state().to_owned(), one.description.clone())).collect()
}

#[tokio::test]
async fn the_verdicts_of_a_commit_move_one_status_and_what_comes_twice_is_taken() {
    let lab = lab();
    let row = |state: &str, text: &str| (state.to_owned(), text.to_owned());
    let steps = [
        (Phase::Pending, "queued", row("pending", "queued")),
        (Phase::Pending, "queued", row("pending", "queued")),
        (Phase::Running, "applying", row("running", "applying")),
        (Phase::Running, "waiting", row("running", "applying")),
        (Phase::Applied, "1 object applied", row("running", "applying")),
        (Phase::Failed, "it does not start", row("failed", "it does not start")),
    ];
    for (phase, text, shown) in steps {
        assert_eq!(POST.send(&lab, phase, text).await, Answer::Taken, "{phase} {text}");
        assert_eq!(shows(&lab), [shown]);
    }
    // Healed by a later dispatch: GitLab begins a new status, and the newest is what counts.
    assert_eq!(POST.send(&lab, Phase::Healthy, &"é".repeat(300)).await, Answer::Taken);
    assert_eq!(shows(&lab)[1], ("success".to_owned(), format!("{}…", "é".repeat(254))));
}

#[tokio::test]
async fn an_older_state_never_takes_the_place_of_a_newer_one() {
    let lab = lab();
    assert_eq!(POST.send(&lab, Phase::Running, "applying").await, Answer::Taken);
    let late = POST.send(&lab, Phase::Pending, "queued").await;
    assert!(matches!(&late, Answer::Never(why) if why.contains("running already")), "{late:?}");
    assert_eq!(shows(&lab), [("running".to_owned(), "applying".to_owned())]);
    assert_eq!(POST.send(&lab, Phase::Superseded, "superseded").await, Answer::Taken);
    assert_eq!(shows(&lab)[0].0, "canceled");
}

#[tokio::test]
async fn an_address_of_more_that_is_too_long_is_left_out_and_not_refused() {
    let lab = lab();
    for (length, is_shown) in [(255, true), (256, false)] {
        let url = format!("https://windlass.example.org/{}", "r".repeat(length - 29));
        let post = Post { target_url: Some(&url), ..POST };
        assert_eq!(post.send(&lab, Phase::Healthy, "healthy").await, Answer::Taken);
        assert_eq!(lab.state().statuses.last().unwrap().target_url.is_some(), is_shown, "{length}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_with_what_to_do() {
    let lab = lab();
    lab.admit("glpat-of-a-mere-reader", "reader", Role::Reporter);
    lab.admit("glpat-of-a-developer", "developer", Role::Developer);
    lab.admit("glpat-that-reads-the-api", "reads", Role::Maintainer);
    lab.state().users.get_mut("glpat-that-reads-the-api").unwrap().scope = "read_api";
    lab.state().projects.get_mut(SHOP).unwrap().protected.insert("main".to_owned());
    let cases = [
        (Post { token: "glpat-that-was-revoked", ..POST }, "replace it"),
        (Post { repository: "team/shop", ..POST }, "check the repository's name"),
        (Post { digit: "b", ..POST }, "no such commit"),
        (Post { token: "glpat-of-a-mere-reader", ..POST }, "role Developer"),
        (Post { token: "glpat-of-a-developer", ..POST }, "Maintainer where the branch is protected"),
        (Post { token: "glpat-that-reads-the-api", ..POST }, "scope api"),
    ];
    for (post, words) in cases {
        let answer = post.send(&lab, Phase::Pending, "queued").await;
        let (Answer::Ours(why) | Answer::Never(why)) = &answer else { panic!("{answer:?}") };
        assert!(why.contains(words) && !why.contains(post.token), "{why}");
    }
    assert_eq!(shows(&lab), []);
}

/// Whose token is replaced by that of another bot leaves the old status open for ever, so the README says to renew the
/// token of the same bot; the verdict shows all the same.
#[tokio::test]
async fn the_verdict_of_another_bot_shows_beside_what_the_first_left_open() {
    let lab = lab();
    lab.admit("glpat-of-another-bot", "another-bot", Role::Maintainer);
    assert_eq!(POST.send(&lab, Phase::Running, "applying").await, Answer::Taken);
    let other = Post { token: "glpat-of-another-bot", ..POST };
    assert_eq!(other.send(&lab, Phase::Healthy, "healthy").await, Answer::Taken);
    assert_eq!(
        shows(&lab),
        [("running".to_owned(), "applying".to_owned()), ("success".to_owned(), "healthy".to_owned())]
    );
}
