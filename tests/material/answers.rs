//! Real answers of forges, played to the courier; and its requests, held against those that were recorded.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;
use windlass::commit::CommitId;
use windlass::forge::Answer;
use windlass::forge::Kind;
use windlass::forge::StatusPost;
use windlass::outcome::Phase;
use windlass::secret::Secret;

use crate::recording;
use crate::recording::Exchange;
use crate::replay::Replay;
use crate::shelf;

/// What a recording is of: the kind of the forge, and all that is recorded.
type Tape = (Kind, Vec<Exchange>);

/// Read once: the recordings have tens of megabytes.
static TAPES: LazyLock<Vec<Tape>> = LazyLock::new(|| {
    vec![
        (Kind::Github, recording::pygithub()),
        (Kind::Github, recording::octokit("create-status")),
        (Kind::Github, recording::octokit("errors")),
        (Kind::Github, recording::ogr("github")),
        (Kind::Gitlab, recording::ogr("gitlab")),
        (Kind::Forgejo, recording::ogr("forgejo")),
    ]
});

/// Where a forge's API begins, and how it calls what holds a commit.
fn roots(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Github => ("", "repos"),
        Kind::Gitea | Kind::Forgejo => ("/api/v1", "repos"),
        Kind::Gitlab => ("/api/v4", "projects"),
    }
}

/// What is posted: the repository, the commit, and the words of the status.
struct Posted<'a> {
    repository: &'a str,
    commit: &'a str,
    words: &'a Value,
}

impl Posted<'_> {
    /// A status that no recording is of.
    const ANY: Posted<'static> = Posted { repository: "team/shop", commit: ANY_COMMIT, words: &Value::Null };
}

const ANY_COMMIT: &str = "c891a9e4ac01e6575f3fd66cf1b7db2f52f10128";

async fn send(kind: Kind, replay: &Replay, posted: &Posted<'_>) -> Answer {
    let (root, _) = roots(kind);
    let word = |key: &str| posted.words[key].as_str();
    let request = kind.rules().describe(&StatusPost {
        api: &format!("{}{root}", replay.url),
        repository: posted.repository,
        commit: &CommitId::parse(posted.commit).unwrap(),
        context: word("context").or(word("name")).unwrap_or("windlass"),
        phase: phase(word("state")),
        description: word("description").unwrap_or_default(),
        target_url: word("target_url"),
    });
    replay
        .courier
        .send(&request, &Secret::new("a token of the material").unwrap(), |answer| {
            kind.rules().classify(&request, answer)
        })
        .await
        .unwrap()
}

fn phase(state: Option<&str>) -> Phase {
    match state {
        Some("pending") => Phase::Pending,
        Some("failure") => Phase::Failed,
        Some("success") | None => Phase::Healthy,
        Some(other) => panic!("no phase is {other}"),
    }
}

fn said(answer: &Answer) -> String {
    match answer {
        Answer::Taken => "taken".to_owned(),
        Answer::TakenLast(wait) => format!("taken, then nothing for {} s", wait.as_secs()),
        Answer::Later(None) => "later".to_owned(),
        Answer::Later(Some(wait)) => format!("later, in {} s", wait.as_secs()),
        Answer::Limited => "limited".to_owned(),
        Answer::Unsure(None) => "unsure".to_owned(),
        Answer::Unsure(Some(wait)) => format!("unsure, for {} s", wait.as_secs()),
        Answer::Ours(why) => format!("ours: {why}"),
        Answer::Never(why) => format!("never: {why}"),
    }
}

#[tokio::test]
async fn statuses_go_where_the_recorded_ones_went_say_what_they_said_and_are_taken() {
    let mut table = Vec::new();
    for (kind, tape) in TAPES.iter() {
        let (root, folder) = roots(*kind);
        for exchange in tape.iter().filter(|e| e.method == "POST" && e.path.contains("/statuses/")) {
            let rest = exchange.path.strip_prefix(&format!("{root}/{folder}/")).unwrap();
            let (repository, commit) = rest.split_once("/statuses/").unwrap();
            let told: Value = serde_json::from_str(&exchange.body).unwrap();
            // A recording without the request still shows what the forge made of it.
            let words = exchange.asked.as_ref().unwrap_or(&told);
            let replay = Replay::start(vec![exchange.clone()]).await;
            let answer = send(*kind, &replay, &Posted { repository, commit, words }).await;
            let heard = replay.heard();
            assert_eq!((&*heard.method, &heard.path), ("POST", &exchange.path));
            for (key, value) in exchange.asked.iter().flat_map(|asked| asked.as_object().unwrap()) {
                assert_eq!(&heard.body[key], value, "{key} of {}", exchange.name);
            }
            let name = exchange.name.rsplit('/').next().unwrap();
            table.push(format!("{kind} {name} {}: {}", exchange.status, said(&answer)));
        }
    }
    shelf::same("recorded statuses", &table, STATUSES);
}

const STATUSES: &str = "\
github Commit.testCreateStatusWithAllParameters 201: taken
github Commit.testCreateStatusWithoutOptionalParameters 201: taken
github create-status 201: taken
github create-status 201: taken
github GenericCommands.test_set_commit_status 201: taken
github GenericCommands.test_set_commit_status_long_description 422: never: the forge refuses the status with 422 (Validation Failed: description is too long (maximum is 140 characters))
github GenericCommands.test_set_commit_status_long_description 201: taken
gitlab GenericCommands.test_set_commit_status 201: taken
gitlab GenericCommands.test_set_commit_status 201: taken
gitlab PullRequests.test_pr_status 201: taken
gitlab PullRequests.test_pr_status 201: taken
forgejo test_set_commit_status 201: taken
";

/// What is known to be of use to somebody who posts statuses: wrong tokens, limits, lacking rights, forges in trouble.
const REFUSALS: [&str; 13] = [
    "SpecificExceptions.testBadCredentials",
    "SpecificExceptions.test2FARequired",
    "SpecificExceptions.testRateLimitExceeded",
    "SpecificExceptions.testAuthenticatedRateLimitExceeded",
    "SpecificExceptions.testUnknownObject",
    "Exceptions.testInvalidInput",
    "GithubIntegration.testGetAccessTokenForNoInstallation",
    "GithubIntegration.testGetAccessTokenWithExpiredJWT",
    "GithubIntegration.testGetAccessTokenWithInvalidData",
    "GithubIntegration.testGetAccessTokenWithInvalidPermissions",
    "errors",
    "test_service/Service.test_wrong_auth",
    "test_issues/Issues.test_create_with_disabled_issues",
];

#[tokio::test]
async fn what_forges_refused_is_told_with_their_words_and_what_to_do() {
    let mut table = Vec::new();
    for (kind, tape) in TAPES.iter() {
        for exchange in tape.iter().filter(|e| e.status >= 400 && REFUSALS.contains(&&*e.name)) {
            let replay = Replay::start(vec![exchange.clone()]).await;
            let answer = send(*kind, &replay, &Posted::ANY).await;
            table.push(format!("{kind} {} {}: {}", exchange.name, exchange.status, said(&answer)));
        }
    }
    shelf::same("recorded refusals", &table, REFUSED);
}

const REFUSED: &str = "\
github Exceptions.testInvalidInput 422: never: the forge refuses the status with 422 (Validation Failed: key is invalid. It must begin with 'ssh-rsa' or 'ssh-dss'. Check that you're copying the public half of the key)
github GithubIntegration.testGetAccessTokenForNoInstallation 404: ours: the forge shows this token no such repository or commit: check the repository's name, and that the token is valid and may see it (Not Found)
github GithubIntegration.testGetAccessTokenWithExpiredJWT 401: ours: the forge refuses the token: replace it
github GithubIntegration.testGetAccessTokenWithInvalidData 400: never: the forge refuses the status with 400 (Problems parsing JSON)
github GithubIntegration.testGetAccessTokenWithInvalidPermissions 422: never: the forge refuses the status with 422 (The permissions requested are not granted to this installation.)
github SpecificExceptions.test2FARequired 401: ours: the forge refuses the token: replace it
github SpecificExceptions.testAuthenticatedRateLimitExceeded 403: later, in 60 s
github SpecificExceptions.testBadCredentials 401: ours: the forge refuses the token: replace it
github SpecificExceptions.testRateLimitExceeded 403: limited
github SpecificExceptions.testUnknownObject 404: ours: the forge shows this token no such repository or commit: check the repository's name, and that the token is valid and may see it (Not Found)
github errors 422: never: the forge refuses the status with 422 (Validation Failed)
github test_service/Service.test_wrong_auth 401: ours: the forge refuses the token: replace it
gitlab test_issues/Issues.test_create_with_disabled_issues 403: ours: the token may not write statuses of this commit: it needs the scope api and the role Developer, or Maintainer where the branch is protected (403 Forbidden)
gitlab test_service/Service.test_wrong_auth 401: ours: GitLab refuses the token: replace it with a valid one that has the scope api (401 Unauthorized)
";

#[tokio::test]
async fn whatever_forges_ever_answered_means_something_and_counts_as_the_table_says() {
    let mut counts: BTreeMap<(Kind, u16, String), u32> = BTreeMap::new();
    for (kind, tape) in TAPES.iter() {
        // A post is never answered with "not modified", which has no body by its nature.
        let odd: Vec<Exchange> =
            tape.iter().filter(|e| e.status >= 300 && e.status != 304).cloned().collect();
        let replay = Replay::start(odd.clone()).await;
        for exchange in odd {
            let answer = said(&send(*kind, &replay, &Posted::ANY).await);
            let verdict = answer.split(':').next().unwrap().to_owned();
            *counts.entry((*kind, exchange.status, verdict)).or_default() += 1;
        }
    }
    let row = |((kind, status, verdict), count)| format!("{kind} {status} {verdict}: {count}");
    shelf::same(
        "recorded answers that are no success",
        &counts.into_iter().map(row).collect::<Vec<_>>(),
        ODD,
    );
}

const ODD: &str = "\
forgejo 404 ours: 11
forgejo 405 never: 5
forgejo 500 unsure: 3
github 301 ours: 8
github 302 ours: 7
github 400 never: 2
github 401 ours: 10
github 403 later, in 60 s: 1
github 403 limited: 1
github 403 ours: 11
github 404 ours: 87
github 409 later: 2
github 422 never: 15
github 500 unsure: 1
github 502 unsure: 7
github 503 unsure: 1
gitlab 400 never: 3
gitlab 401 ours: 4
gitlab 403 ours: 1
gitlab 404 ours: 20
gitlab 409 later: 4
";

/// GitLab's projects are called by one part of the path, as its Python client also writes them.
#[tokio::test]
async fn a_project_of_gitlab_is_called_as_its_own_clients_call_it() {
    let tapes = TAPES.iter().filter(|(kind, _)| *kind == Kind::Gitlab);
    let tape: Vec<&Exchange> = tapes.flat_map(|(_, tape)| tape).collect();
    let named = tape.iter().filter_map(|e| e.path.strip_prefix("/api/v4/projects/")?.split('/').next());
    let mut named: Vec<&str> = named.filter(|name| name.contains("%2F")).collect();
    named.sort_unstable();
    named.dedup();
    assert!(named.len() >= 3, "{named:?}");
    for name in named {
        let of_tape = tape.iter().find(|e| e.status == 201 && e.path.contains("/statuses/")).unwrap();
        let replay = Replay::start(vec![(*of_tape).clone()]).await;
        let repository = name.replace("%2F", "/");
        let posted = Posted { repository: &repository, ..Posted::ANY };
        assert_eq!(send(Kind::Gitlab, &replay, &posted).await, Answer::Taken);
        assert_eq!(replay.heard().path, format!("/api/v4/projects/{name}/statuses/{ANY_COMMIT}"));
    }
}
