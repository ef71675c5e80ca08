//! The stand-in, held against what gitlab.com was recorded to answer.
//!
//! The material has posts of statuses that are final at once, lists of them, wrong tokens, and what is not there. It has no
//! status that moves, no conflict, no limit and no webhook: there the stand-in follows GitLab's source.

use reqwest::StatusCode;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::lab::Lab;
use crate::lab::Project;
use crate::lab::Role;
use crate::recording;
use crate::recording::Exchange;

/// What GitLab says since the recordings were made.
const NEWER: [&str; 1] = ["pipeline_id"];

/// What names an instant or a number in the recording, and so differs.
const OWN: [&str; 2] = ["id", "author"];

/// Returns the parts of a path below the API's root.
fn parts(exchange: &Exchange) -> Vec<&str> {
    exchange.path.trim_start_matches("/api/v4/").split('/').collect()
}

/// A stand-in that has the project of a recording, and a commit of it on the branch that the recording names.
fn scene(project: &str, commit: &str) -> (Lab, &'static str) {
    let lab = Lab::start();
    let project: &'static str = project.to_owned().leak();
    let mut place = Project::default();
    place.branches.insert("master".to_owned(), vec![commit.to_owned()]);
    let mut state = lab.state();
    state.projects.insert(project.to_owned(), place);
    drop(state);
    lab.admit("of the recording", "recorded", Role::Maintainer);
    lab.state().users.get_mut("of the recording").unwrap().roles.insert(project, Role::Maintainer);
    (lab, project)
}

async fn post(lab: &Lab, exchange: &Exchange, told: &Value) -> (StatusCode, Value) {
    let said = json!({
        "state": told["status"], "name": told["name"], "description": told["description"],
        "target_url": told["target_url"],
    });
    let url = format!("{}{}", lab.stand.url, exchange.path);
    let answer =
        reqwest::Client::new().post(url).bearer_auth("of the recording").json(&said).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

/// Holds a status of the stand-in against a recorded one: it shows nothing else and nothing otherwise.
fn held(shown: &Value, told: &Value) {
    let (shown, told): (&Map<String, Value>, &Map<String, Value>) =
        (shown.as_object().unwrap(), told.as_object().unwrap());
    for (key, value) in shown.iter().filter(|(key, _)| !NEWER.contains(&key.as_str())) {
        let recorded = told.get(key).unwrap_or_else(|| panic!("GitLab shows no {key}: {told:?}"));
        if OWN.contains(&key.as_str()) {
            assert_eq!(value.is_number(), recorded.is_number(), "{key}");
        } else {
            assert_eq!(value, recorded, "{key}");
        }
    }
}

#[tokio::test]
async fn statuses_are_taken_and_listed_as_the_recorded_ones() {
    let tape = recording::ogr("gitlab");
    let of_statuses: Vec<&Exchange> = tape.iter().filter(|one| parts(one).contains(&"statuses")).collect();
    let (mut taken, mut listed) = (0, 0);
    for exchange in of_statuses {
        let told: Value = serde_json::from_str(&exchange.body).unwrap();
        match parts(exchange).as_slice() {
            ["projects", project, "statuses", commit] => {
                let (lab, _) = scene(project, commit);
                let (status, shown) = post(&lab, exchange, &told).await;
                assert_eq!(status.as_u16(), exchange.status, "{}", exchange.name);
                held(&shown, &told);
                taken += 1;
            }
            ["projects", project, "repository", "commits", commit, "statuses"] => {
                let (lab, project) = scene(project, commit);
                let told = told.as_array().unwrap();
                let posted = Exchange {
                    path: format!("/api/v4/projects/{project}/statuses/{commit}"),
                    ..exchange.clone()
                };
                for one in told {
                    // Another one of that name, of another person, which the latest takes the place of.
                    assert_eq!(
                        post(&lab, &posted, &json!({"status": "failed", "name": one["name"]})).await.0,
                        201
                    );
                }
                for one in told {
                    assert_eq!(post(&lab, &posted, one).await.0, 201);
                }
                let url = format!("{}{}", lab.stand.url, exchange.path);
                let client = reqwest::Client::new();
                let answer = client.get(url).bearer_auth("of the recording").send().await.unwrap();
                assert_eq!(answer.status().as_u16(), exchange.status);
                for name in ["x-total", "x-next-page"] {
                    let recorded =
                        exchange.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
                    assert_eq!(answer.headers()[name].to_str().unwrap(), recorded.unwrap().1, "{name}");
                }
                let shown: Value = answer.json().await.unwrap();
                let shown = shown.as_array().unwrap();
                assert_eq!(shown.len(), told.len(), "{}", exchange.name);
                shown.iter().zip(told).for_each(|(shown, told)| held(shown, told));
                listed += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(taken >= 4 && listed >= 2, "{taken} {listed}");
}

#[tokio::test]
async fn what_is_refused_is_refused_in_the_recorded_words() {
    let tape = recording::ogr("gitlab");
    let lab = Lab::start();
    let client = reqwest::Client::new();
    let said = async |token: &str, path: &str| {
        let url = format!("{}/{path}", lab.api());
        let answer = client.get(url).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let cases = [
        ("no token", "projects/team%2Fweb%2Fshop/hooks", 401, "401 Unauthorized"),
        (crate::lab::TOKEN, "projects/team%2Fgone/hooks", 404, "404 Project Not Found"),
    ];
    for (token, path, status, words) in cases {
        let (code, body) = said(token, path).await;
        let recorded = tape.iter().any(|one| {
            let same: Option<Value> = serde_json::from_str(&one.body).ok();
            one.status == status && same == serde_json::from_str(&body).ok()
        });
        assert!(code == status && recorded, "{code} {body}: gitlab.com says {words}");
    }
}

#[tokio::test]
async fn how_many_requests_are_left_is_told_by_the_recorded_headers() {
    let lab = Lab::start();
    lab.state().limits.set(600, true);
    let answer = reqwest::get(format!("{}/projects", lab.api())).await.unwrap();
    let tape = recording::ogr("gitlab");
    let is_there = |name: &str| {
        tape.iter().any(|one| one.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name)))
    };
    let ours: Vec<&str> =
        answer.headers().keys().map(|name| name.as_str()).filter(|name| name.starts_with("rate")).collect();
    // Newer than the recordings.
    let known = ours.iter().filter(|name| **name != "ratelimit-name");
    assert!(ours.len() == 5 && known.clone().all(|name| is_there(name)), "{ours:?}");
}
