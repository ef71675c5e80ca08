//! Recorded traffic, as three projects write it down.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_saphyr::options::NonFiniteFloatPolicy;

use crate::shelf;

/// A request that a real forge was sent, and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The recording.
    pub name: String,
    pub method: String,
    /// The path of the address.
    pub path: String,
    /// The JSON body of the request, where the recording has it.
    pub asked: Option<Value>,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

const PYGITHUB: &str = "python/pygithub/tests/ReplayData/";

/// How many lines has an exchange of PyGithub? Scheme, method, host, port, path, headers and body of the request;
/// status, headers and body of the answer.
const LINES: usize = 10;

/// Reads all recordings of PyGithub but those of files, whose bytes are written down otherwise.
pub fn pygithub() -> Vec<Exchange> {
    let files = shelf::files(PYGITHUB, ".txt");
    let texts = files.iter().filter(|file| !file.contains("ReleaseAsset.testDownload"));
    texts.flat_map(|file| of_pygithub(file)).collect()
}

fn of_pygithub(file: &str) -> Vec<Exchange> {
    let text = shelf::text(file);
    let name = file.trim_start_matches(PYGITHUB).trim_end_matches(".txt");
    let lines: Vec<&str> = text.split('\n').filter(|line| !line.is_empty()).collect();
    // An answer without a body leaves its line empty, so an exchange begins at its scheme.
    let starts: Vec<usize> = (0..lines.len()).filter(|at| ["https", "http"].contains(&lines[*at])).collect();
    let exchange = |start: &usize| {
        let line = |at: usize| lines.get(start + at).copied().unwrap_or_default();
        let asked = serde_json::from_str(line(6)).ok();
        let follows = starts.contains(&(start + LINES - 1));
        Exchange {
            name: name.to_owned(),
            method: line(1).to_owned(),
            path: line(4).split('?').next().unwrap().to_owned(),
            asked,
            status: line(7).parse().unwrap_or_else(|_| panic!("{file}: {}", line(7))),
            headers: pairs(line(8)),
            body: if follows { String::new() } else { line(9).to_owned() },
        }
    };
    starts.iter().map(exchange).collect()
}

/// Reads pairs of texts as Python writes them: `[('name', 'value'), ("name", "it's")]`.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    let mut letters = text.chars();
    while let Some(quote) = letters.find(|c| ['\'', '"'].contains(c)) {
        let mut word = String::new();
        while let Some(letter) = letters.next().filter(|letter| *letter != quote) {
            word.push(if letter == '\\' { letters.next().unwrap() } else { letter });
        }
        texts.push(word);
    }
    texts.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

/// How many bytes may a recording have that is read? One that lists all there is has 16 MB, and nothing else.
const LARGEST: usize = 2_000_000;

/// Reads those recordings that ogr made of a forge in which a status was posted or something went wrong; all of them
/// would take minutes. They do not hold what was sent.
pub fn ogr(forge: &str) -> Vec<Exchange> {
    let folder = format!("python/ogr/tests/integration/{forge}/test_data/");
    let mut exchanges = Vec::new();
    for file in shelf::files(&folder, ".yaml") {
        let (name, text) = (file.trim_start_matches(&folder), shelf::text(&file));
        let went_wrong = ["status_code: 3", "status_code: 4", "status_code: 5"];
        let is_wanted = name.contains("status") || went_wrong.iter().any(|line| text.contains(line));
        if is_wanted && text.len() < LARGEST {
            exchanges.extend(of_ogr(name, &text));
        }
    }
    exchanges
}

fn of_ogr(name: &str, text: &str) -> Vec<Exchange> {
    // An abbreviated commit such as 684e8547 is a number too, and a large one.
    let options = serde_saphyr::options! { non_finite_float_policy: NonFiniteFloatPolicy::PassThrough };
    let tape: BTreeMap<String, Value> =
        serde_saphyr::from_str_with_options(text, options).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut exchanges = Vec::new();
    for sent in tape.values().filter_map(|client| client["send"].as_object()) {
        for (method, by_url) in sent {
            for (url, turns) in by_url.as_object().unwrap() {
                for turn in turns.as_array().unwrap() {
                    exchanges.push(of_turn(name, method, url, &turn["output"]));
                }
            }
        }
    }
    exchanges
}

fn of_turn(name: &str, method: &str, url: &str, output: &Value) -> Exchange {
    let content = &output["_content"];
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let headers = output["headers"].as_object().unwrap();
    Exchange {
        name: name.trim_end_matches(".yaml").to_owned(),
        method: method.to_owned(),
        path: reqwest::Url::parse(url).unwrap().path().to_owned(),
        asked: None,
        status: output["status_code"].as_u64().unwrap().try_into().unwrap(),
        headers: headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        body: if content.is_null() { String::new() } else { text(content) },
    }
}

/// Reads a scenario of Octokit's fixtures.
pub fn octokit(scenario: &str) -> Vec<Exchange> {
    let folder = format!("npm/node_modules/@octokit/fixtures/scenarios/api.github.com/{scenario}");
    let tape = shelf::json(&format!("{folder}/normalized-fixture.json"));
    let exchange = |turn: &Value| {
        let headers = turn["headers"].as_object().unwrap();
        let value = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Exchange {
            name: scenario.to_owned(),
            method: turn["method"].as_str().unwrap().to_uppercase(),
            path: turn["path"].as_str().unwrap().to_owned(),
            asked: Some(turn["body"].clone()).filter(Value::is_object),
            status: turn["status"].as_u64().unwrap().try_into().unwrap(),
            headers: headers.iter().map(|(name, text)| (name.clone(), value(text))).collect(),
            body: turn["response"].to_string(),
        }
    };
    tape.as_array().unwrap().iter().map(exchange).collect()
}
