//! Deliveries of webhooks that failed, which GitHub never sends again by itself: which ones those are, and how they are
//! asked for again.
//!
//! All attempts at a delivery share one GUID. GitHub keeps them for three days (GitHub Enterprise Server for seven), and
//! sends again only what is that young.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::forge::Answer;
use crate::forge::HttpAnswer;
use crate::forge::github;
use crate::forge::github::app::Ask;
use crate::forge::post;
use crate::moment::Moment;

/// How old may a delivery be that GitHub still sends again?
const KEPT_FOR: Duration = Duration::from_secs(3 * 24 * 3600);

/// How old may it be at a GitHub Enterprise Server?
const KEPT_AT_HOME_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long after it was asked for is a delivery left alone?
const AGAIN_AFTER_MS: u64 = 600_000;

/// How often is a delivery tried, by GitHub itself and because it was asked for, before it is left to the sweep?
const ATTEMPTS: usize = 12;

/// How many deliveries does a list have at most?
const PER_PAGE: usize = 100;

/// How many webhooks of a repository are looked through? It has 20 for one event at most.
const HOOKS: usize = 100;

/// A webhook whose deliveries are looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// The App's own. Whatever is asked about it is asked by the App's claim.
    App,
    /// One of a repository, as `owner/name`, and its number.
    Repository(String, u64),
}

impl Hook {
    fn path(&self, api: &str) -> String {
        match self {
            Self::App => format!("{api}/app/hook"),
            Self::Repository(name, id) => format!("{api}/repos/{}/hooks/{id}", post::escaped(name, "/")),
        }
    }
}

/// One attempt at a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Attempt {
    /// Its number.
    pub id: u64,
    /// What it shares with the other attempts at the same delivery.
    pub guid: String,
    /// When it was made, in UTC as RFC 3339 writes it.
    pub delivered_at: String,
    /// What was answered; 0 where nothing was.
    #[serde(default)]
    pub status_code: u16,
}

/// Returns how old a delivery may be that the GitHub behind an API still sends again.
#[must_use]
pub fn window(api: &str) -> Duration {
    let host = api.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let host = host.to_ascii_lowercase();
    if host == "api.github.com" || host.ends_with(".ghe.com") { KEPT_FOR } else { KEPT_AT_HOME_FOR }
}

/// Describes the question for the address of the App's own webhook.
#[must_use]
pub fn ask_app_hook(api: &str) -> Ask {
    Ask::get(format!("{api}/app/hook/config"))
}

/// Returns whether the App's own webhook leads to an address, or to one for a single source below it.
///
/// # Errors
/// What the answer means instead.
pub fn leads_to(url: &str, answer: &HttpAnswer<'_>) -> Result<bool, Answer> {
    match answer.status {
        // An App without a webhook is answered so.
        404 => Ok(false),
        _ => read::<Config>(answer).map(|config| config.leads_to(url)),
    }
}

/// Describes the question for the webhooks of a repository.
#[must_use]
pub fn ask_hooks(api: &str, repository: &str) -> Ask {
    Ask::get(format!("{api}/repos/{}/hooks?per_page={HOOKS}", post::escaped(repository, "/")))
}

/// Returns the numbers of those webhooks that are switched on and lead to an address, or to one below it.
///
/// # Errors
/// What the answer means instead.
pub fn read_hooks(url: &str, answer: &HttpAnswer<'_>) -> Result<Vec<u64>, Answer> {
    let hooks: Vec<Listed> = read(answer)?;
    Ok(hooks.iter().filter(|hook| hook.active && hook.config.leads_to(url)).map(|hook| hook.id).collect())
}

/// Describes the question for attempts, the newest first, from where an earlier answer left off.
#[must_use]
pub fn ask_attempts(api: &str, hook: &Hook, cursor: Option<&str>) -> Ask {
    let from = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    Ask::get(format!("{}/deliveries?per_page={PER_PAGE}{from}", hook.path(api)))
}

/// Reads the answer to it: the attempts, and where the next question goes on, where there are more.
///
/// # Errors
/// What the answer means instead.
pub fn read_attempts(answer: &HttpAnswer<'_>) -> Result<(Vec<Attempt>, Option<String>), Answer> {
    let attempts = read(answer)?;
    Ok((attempts, answer.first("link").and_then(cursor)))
}

/// Describes the request for another attempt at the delivery that an attempt was made at.
#[must_use]
pub fn ask_again(api: &str, hook: &Hook, attempt: u64) -> Ask {
    let url = format!("{}/deliveries/{attempt}/attempts", hook.path(api));
    Ask::bare("POST", url)
}

/// Says what the answer to it means.
#[must_use]
pub fn classify(answer: &HttpAnswer<'_>) -> Answer {
    match answer.status {
        200..=299 => Answer::Taken,
        404 | 422 => Answer::Never(format!("GitHub sends it no more{}", post::words(answer))),
        _ => refused(answer),
    }
}

/// Returns the deliveries to ask for again, the oldest first: an attempt at each and its GUID. They are those of which
/// no attempt was answered with success, that are not older than `since`, were not asked for a short while ago, and
/// were not tried in vain too often.
#[must_use]
pub fn missed(
    attempts: &[Attempt],
    since: &str,
    asked: &BTreeMap<String, Moment>,
    now: Moment,
) -> Vec<(u64, String)> {
    let mut by_guid: BTreeMap<&str, Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts {
        by_guid.entry(&attempt.guid).or_default().push(attempt);
    }
    let rests = |guid: &str| asked.get(guid).is_some_and(|at| now < at.plus(AGAIN_AFTER_MS));
    let mut missed: Vec<&Attempt> = by_guid
        .into_iter()
        .filter(|(guid, tries)| {
            let failed = tries.iter().all(|attempt| !(200..300).contains(&attempt.status_code));
            failed && tries.len() < ATTEMPTS && !rests(guid)
        })
        .filter_map(|(_, tries)| tries.into_iter().min_by(|a, b| a.delivered_at.cmp(&b.delivered_at)))
        .filter(|first| first.delivered_at.as_str() >= since)
        .collect();
    missed.sort_by(|a, b| (&a.delivered_at, a.id).cmp(&(&b.delivered_at, b.id)));
    missed.into_iter().map(|first| (first.id, first.guid.clone())).collect()
}

/// Where a webhook leads.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    url: Option<String>,
}

impl Config {
    fn leads_to(&self, url: &str) -> bool {
        self.url.as_deref().is_some_and(|own| post::leads_to(own, url))
    }
}

/// A webhook of a repository.
#[derive(Deserialize)]
struct Listed {
    id: u64,
    active: bool,
    config: Config,
}

/// Returns where the next page begins, by the header that says so. What is no plain text of GitHub's own is none.
fn cursor(link: &str) -> Option<String> {
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let (_, rest) = next.split_once("cursor=")?;
    let cursor = rest.split(['&', '>']).next().unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~%=".contains(&b);
    (!cursor.is_empty() && cursor.bytes().all(plain)).then(|| cursor.to_owned())
}

fn read<T: for<'a> Deserialize<'a>>(answer: &HttpAnswer<'_>) -> Result<T, Answer> {
    match answer.status {
        200..=299 => serde_json::from_slice(answer.body).map_err(|_| {
            Answer::Ours(
                "what answers there does not answer as GitHub does: check api of this forge".to_owned(),
            )
        }),
        _ => Err(refused(answer)),
    }
}

fn refused(answer: &HttpAnswer<'_>) -> Answer {
    if let Some(limited) = github::limited(answer) {
        return limited;
    }
    match answer.status {
        401 => Answer::Ours(format!("GitHub refuses the token{}", post::words(answer))),
        403 | 404 => Answer::Ours(format!(
            "webhooks and their deliveries are not shown: give the App the permission Webhooks: read and write, or the token the right to administer the repository's webhooks{}",
            post::words(answer)
        )),
        _ => post::classify(answer),
    }
}

#[cfg(test)]
mod tests;
