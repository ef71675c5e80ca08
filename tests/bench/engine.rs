//! Whole repositories: how long until every application is healthy, with how many requests, how much memory and how
//! many seconds of a core? Beside them the floor: each object applied dry and applied, by a client that does nothing else.

use std::path::Path;

use serde_json::Value;
use serde_json::json;

use crate::numbers::Times;
use crate::say;
use crate::scene::Cost;
use crate::scene::Scene;
use crate::shapes;
use crate::shapes::Files;

/// How often is an object changed by hand?
const DRIFTS: usize = 20;

/// Goals in seconds: of what, for how many applications or objects.
const GOALS: &[(&str, usize, f64)] = &[
    ("all changed", 300, 8.0),
    ("first", 1000, 25.0),
    ("one changed", 100, 0.2),
    ("objects: first", 1500, 5.0),
    ("objects: unchanged", 1500, 0.5),
];

/// Measures with each number of applications, and one application of so many objects; prints a table and returns the
/// numbers.
pub async fn measure(program: &Path, numbers: &[usize], objects: usize) -> Value {
    let mut rows = Vec::new();
    say(&format!(
        "{:<26}{:>7}{:>10}{:>8}{:>10}{:>10}{:>10}{:>10}",
        "", "number", "seconds", "goal", "requests", "cpu s", "floor s", "× floor"
    ));
    for &number in numbers {
        rows.extend(applications(program, number).await);
    }
    rows.extend(one_of_many_objects(program, objects).await);
    json!(rows)
}

/// Measures so many applications of four objects each.
async fn applications(program: &Path, number: usize) -> Vec<Value> {
    let names: Vec<_> = (0..number).map(|one| format!("a{one}")).collect();
    let mut scene = Scene::new(program, &names).await;
    let all = |round: usize| (0..number).map(move |one| shapes::application(one, round)).collect::<Files>();
    let mut rows = Vec::new();
    for (what, files, touched) in [
        ("first", all(1), number),
        ("all changed", all(2), number),
        ("one changed", vec![shapes::application(0, 3)], 1),
    ] {
        let cost = scene.push(&files, touched).await;
        let floor = scene.floor(&files).await;
        rows.push(row(what, number, cost, Some(floor)));
    }
    rows.push(peak(&scene, number));
    scene.clear().await;
    rows
}

/// Measures one application of so many ConfigMaps.
async fn one_of_many_objects(program: &Path, objects: usize) -> Vec<Value> {
    let mut scene = Scene::new(program, &["a0".to_owned()]).await;
    let mut rows = Vec::new();
    let first = shapes::config_maps(objects, 1, 1);
    let cost = scene.push(&first, 1).await;
    let floor = scene.floor(&first).await;
    rows.push(row("objects: first", objects, cost, Some(floor)));
    let comments = |round: usize| vec![(format!("a0/note-{round}.yaml"), "# nothing\n".to_owned())];
    rows.push(row("objects: unchanged", objects, scene.push(&comments(1), 1).await, None));
    scene.restart(program).await;
    rows.push(row("objects: after a restart", objects, scene.push(&comments(2), 1).await, None));
    rows.push(row(
        "objects: one changed",
        objects,
        scene.push(&shapes::config_maps(objects, 1, 2), 1).await,
        None,
    ));
    let mut healed = Times::default();
    for round in 0..DRIFTS {
        healed.add(scene.drift(round).await);
    }
    say(&format!(
        "{:<26}{:>7}{:>10.3}{:>8}   p95 {:.3} s",
        "drift healed, p50",
        DRIFTS,
        healed.percentile(50) / 1000.0,
        "1",
        healed.percentile(95) / 1000.0
    ));
    rows.push(json!({ "what": "drift healed", "times": healed.json() }));
    rows.push(peak(&scene, objects));
    scene.clear().await;
    rows
}

fn row(what: &str, number: usize, cost: Cost, floor: Option<f64>) -> Value {
    let goal = GOALS.iter().find(|(name, of, _)| *name == what && *of == number).map(|(_, _, goal)| *goal);
    let text = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    let Cost { seconds, requests, cpu } = cost;
    let ratio = floor.map(|floor| seconds / floor);
    say(&format!(
        "{what:<26}{number:>7}{seconds:>10.2}{:>8}{requests:>10}{cpu:>10.2}{:>10}{:>10}",
        goal.map_or_else(|| "-".to_owned(), |goal| goal.to_string()),
        text(floor),
        text(ratio)
    ));
    json!({ "what": what, "number": number, "seconds": seconds, "goal_seconds": goal, "requests": requests,
        "cpu_seconds": cpu, "floor_seconds": floor, "ratio_to_floor": ratio })
}

fn peak(scene: &Scene, number: usize) -> Value {
    let peak = scene.peak_memory();
    say(&format!("{:<26}{number:>7}{:>10.1} MiB", "peak resident memory", peak as f64 / 1024.0));
    json!({ "what": "peak memory", "number": number, "kib": peak })
}
