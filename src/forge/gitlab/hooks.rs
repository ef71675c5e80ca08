//! Webhooks that GitLab has switched off because they failed: for a while after the fourth failure in a row, for good
//! after the fortieth. What happens meanwhile it never sends.

use serde::Deserialize;

use crate::forge::Answer;
use crate::forge::HttpAnswer;
use crate::forge::github::app::Ask;
use crate::forge::post;

/// How many webhooks of a project are looked through? GitLab takes a hundred.
const HOOKS: usize = 100;

/// The webhooks of a project that lead to an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// How many there are.
    pub found: usize,
    /// Those of them that are switched off.
    pub off: Vec<Off>,
}

/// A webhook that is switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Off {
    /// Its number.
    pub id: u64,
    /// Until when, as GitLab writes it; nothing where somebody has to switch it on.
    pub until: Option<String>,
}

/// Describes the question for the webhooks of a project.
#[must_use]
pub fn ask(api: &str, repository: &str) -> Ask {
    let url = format!("{api}/projects/{}/hooks?per_page={HOOKS}", post::escaped(repository, "%2F"));
    Ask { method: "GET", url, headers: Vec::new(), body: String::new() }
}

/// Reads the answer to it, of the webhooks that lead to an address or to one below it.
///
/// # Errors
/// What the answer means instead.
pub fn read(url: &str, answer: &HttpAnswer<'_>) -> Result<Hooks, Answer> {
    if !(200..300).contains(&answer.status) {
        return Err(refused(answer));
    }
    let listed: Vec<Listed> = serde_json::from_slice(answer.body).map_err(|_| {
        Answer::Ours("what answers there does not answer as GitLab does: check api of this forge".to_owned())
    })?;
    let own: Vec<Listed> = listed.into_iter().filter(|hook| post::leads_to(&hook.url, url)).collect();
    let found = own.len();
    // An older GitLab says nothing of it.
    let is_off = |hook: &Listed| hook.alert_status.as_deref().is_some_and(|status| status != "executable");
    let off = own.into_iter().filter(is_off).map(|hook| Off { id: hook.id, until: hook.disabled_until });
    Ok(Hooks { found, off: off.collect() })
}

#[derive(Deserialize)]
struct Listed {
    id: u64,
    url: String,
    #[serde(default)]
    alert_status: Option<String>,
    #[serde(default)]
    disabled_until: Option<String>,
}

fn refused(answer: &HttpAnswer<'_>) -> Answer {
    let words = post::words(answer);
    match answer.status {
        401 => Answer::Ours(format!("GitLab refuses the token{words}")),
        403 | 404 => Answer::Ours(format!(
            "the webhooks are not shown: the token needs the scope api and the role Maintainer{words}"
        )),
        _ => post::classify(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::Hooks;
    use super::Off;
    use super::ask;
    use super::read;
    use crate::forge::Answer;
    use crate::forge::HttpAnswer;
    use crate::moment::Moment;

    const URL: &str = "https://windlass.example.org/hooks/gitlab";

    fn answer(status: u16, body: &str) -> Result<Hooks, Answer> {
        read(URL, &HttpAnswer { status, headers: &[], body: body.as_bytes(), now: Moment(0) })
    }

    #[test]
    fn the_webhooks_of_a_project_are_asked_for_by_its_whole_name() {
        let ask = ask("https://gitlab.com/api/v4", "team/web/shop");
        assert_eq!(ask.url, "https://gitlab.com/api/v4/projects/team%2Fweb%2Fshop/hooks?per_page=100");
    }

    #[test]
    fn one_that_is_off_is_told_with_its_end() {
        let hook = |id: u64, url: &str, rest: &str| format!(r#"{{"id": {id}, "url": "{url}"{rest}}}"#);
        let until =
            r#", "alert_status": "temporarily_disabled", "disabled_until": "2026-11-27T01:00:00.000Z""#;
        let hooks = [
            hook(1, URL, r#", "alert_status": "executable", "disabled_until": null"#),
            hook(2, &format!("{URL}/shop"), until),
            hook(3, URL, r#", "alert_status": "disabled", "disabled_until": null"#),
            hook(4, "https://ci.example.org/", r#", "alert_status": "disabled""#),
            // An older GitLab.
            hook(5, URL, ""),
        ];
        let off =
            vec![Off { id: 2, until: Some("2026-11-27T01:00:00.000Z".into()) }, Off { id: 3, until: None }];
        assert_eq!(answer(200, &format!("[{}]", hooks.join(","))), Ok(Hooks { found: 4, off }));
        assert_eq!(answer(200, "[]"), Ok(Hooks::default()));
    }

    #[test]
    fn what_is_not_shown_says_which_right_is_missing() {
        for (status, expected) in [(401, "refuses the token"), (403, "role Maintainer"), (404, "scope api")] {
            let refused = answer(status, "").unwrap_err();
            assert!(matches!(&refused, Answer::Ours(why) if why.contains(expected)), "{refused:?}");
        }
        assert!(matches!(answer(502, ""), Err(Answer::Unsure(None))));
        assert!(matches!(answer(200, "{}"), Err(Answer::Ours(_))));
    }
}
