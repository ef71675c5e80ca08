//! Webhooks that GitLab has switched off.

use windlass::application::Name;
use windlass::clock::now;
use windlass::courier::Courier;
use windlass::courier::Credential;
use windlass::fault::Fault;
use windlass::forge::Kind;
use windlass::recover::Error;
use windlass::recover::Hooks;
use windlass::recover::Recovered;
use windlass::recover::Recoverer;
use windlass::secret::Secret;

use crate::hooks::Hook;
use crate::lab::Lab;
use crate::lab::Project;
use crate::lab::Role;
use crate::lab::SHOP;
use crate::lab::TOKEN;
use crate::stand;

const URL: &str = "https://windlass.example.org/hooks/gitlab";

/// Looks after the webhooks of projects once.
async fn look(lab: &Lab, token: &str, projects: &[&str]) -> Result<Recovered, Error> {
    let hooks = Hooks {
        forge: Name::parse("gitlab").unwrap(),
        kind: Kind::Gitlab,
        api: Kind::Gitlab.rules().api(&lab.stand.url),
        url: URL.to_owned(),
        credential: Credential::Token(Secret::new(token).unwrap()),
        repositories: projects.iter().map(|name| (*name).to_owned()).collect(),
    };
    Recoverer::new(Courier::new().unwrap().near([lab.stand.url.as_str()]), hooks).step(now()).await
}

/// Hangs a webhook into a project that has failed so often, just now.
fn hang(lab: &Lab, project: &str, url: &str, failures: u32) {
    let mut state = lab.state();
    let hooks = &mut state.projects.entry(project.to_owned()).or_default().hooks;
    let mut hook = Hook::new(u64::try_from(hooks.len()).unwrap() + 1, url);
    (0..failures).for_each(|_| hook.call(now().0 / 1_000, false));
    hooks.push(hook);
}

/// Makes a second project, in which the bot has this role.
fn second(lab: &Lab, role: Role) {
    let mut state = lab.state();
    state.projects.insert("team/blog".to_owned(), Project::default());
    state.users.get_mut(TOKEN).unwrap().roles.insert("team/blog", role);
}

#[tokio::test]
async fn webhooks_that_are_off_are_noticed_until_they_are_answered_again() {
    let lab = Lab::start();
    for (url, failures) in [
        (URL.to_owned(), 3),
        (format!("{URL}/shop"), 4),
        (URL.to_owned(), 40),
        ("https://ci.example.org/".to_owned(), 40),
    ] {
        hang(&lab, SHOP, &url, failures);
    }
    assert_eq!(look(&lab, TOKEN, &[SHOP]).await.unwrap(), Recovered { hooks: 3, asked: 0, off: 2 });
    let answered = |lab: &Lab| {
        let mut state = lab.state();
        let hooks = &mut state.projects.get_mut(SHOP).unwrap().hooks;
        hooks.iter_mut().for_each(|hook| hook.call(0, true));
    };
    answered(&lab);
    assert_eq!(look(&lab, TOKEN, &[SHOP]).await.unwrap(), Recovered { hooks: 3, asked: 0, off: 0 });
}

#[tokio::test]
async fn one_that_comes_back_by_itself_is_off_no_longer_and_an_older_gitlab_says_nothing() {
    let lab = Lab::start();
    hang(&lab, SHOP, URL, 4);
    hang(&lab, SHOP, URL, 40);
    {
        let mut state = lab.state();
        let hooks = &mut state.projects.get_mut(SHOP).unwrap().hooks;
        hooks[0].failed_at -= 61;
        hooks[1].is_told = false;
    }
    assert_eq!(look(&lab, TOKEN, &[SHOP]).await.unwrap(), Recovered { hooks: 2, asked: 0, off: 0 });
}

#[tokio::test]
async fn a_token_that_may_not_see_them_says_what_it_lacks() {
    let lab = Lab::start();
    lab.admit("glpat-of-a-developer", "developer", Role::Developer);
    for (token, project, words) in [
        ("glpat-that-was-revoked", SHOP, "refuses the token"),
        (TOKEN, "team/shop", "role Maintainer"),
        ("glpat-of-a-developer", SHOP, "role Maintainer"),
    ] {
        let error = look(&lab, token, &[project]).await.unwrap_err();
        assert!(error.fault() == Fault::Ours && error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_project_that_refuses_does_not_keep_the_others_from_being_looked_after() {
    let lab = Lab::start();
    second(&lab, Role::Developer);
    hang(&lab, "team/blog", URL, 40);
    hang(&lab, SHOP, URL, 4);
    // In the order of their names, so the one that refuses comes first.
    let found = look(&lab, TOKEN, &["team/blog", SHOP]).await.unwrap();
    assert_eq!(found, Recovered { hooks: 1, asked: 0, off: 1 });
    let asked = lab.stand.heard();
    assert_eq!(asked.len(), 2, "{asked:?}");
    // Where nobody lets it look, that is a failure.
    lab.admit(TOKEN, "windlass-bot", Role::Developer);
    second(&lab, Role::Developer);
    assert_eq!(look(&lab, TOKEN, &["team/blog", SHOP]).await.unwrap_err().fault(), Fault::Ours);
}

#[tokio::test]
async fn a_gitlab_in_trouble_with_one_project_is_asked_of_the_others_and_one_that_limits_of_none() {
    let lab = Lab::start();
    second(&lab, Role::Maintainer);
    hang(&lab, SHOP, URL, 4);
    lab.befall("team%2Fblog/hooks", stand::Fault::Refused("502 Bad Gateway", "", "<html>"));
    let found = look(&lab, TOKEN, &["team/blog", SHOP]).await.unwrap();
    assert_eq!(found, Recovered { hooks: 1, asked: 0, off: 1 });
    lab.befall("team%2Fblog/hooks", stand::Fault::Refused("502 Bad Gateway", "", "<html>"));
    assert_eq!(look(&lab, TOKEN, &["team/blog"]).await.unwrap_err().fault(), Fault::Passing);
    lab.stand.heard();
    lab.state().limits.unannounced = 1;
    assert_eq!(look(&lab, TOKEN, &["team/blog", SHOP]).await.unwrap_err().fault(), Fault::Passing);
    assert_eq!(lab.stand.heard().len(), 1);
}
