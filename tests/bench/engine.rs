//! Whole repositories: how long until every application is healthy, with how many requests, how much memory and how
//! many seconds of a core? Beside them the floor: each object applied dry and applied, by a client that does nothing else.
//! And, where it is asked for, Flux, which is given the same pushes on the same servers when windlass has ended.

use std::path::Path;

use serde_json::Value;
use serde_json::json;

use crate::controllers;
use crate::flux::Flux;
use crate::goals;
use crate::numbers::Times;
use crate::rows;
use crate::rows::Row;
use crate::rows::Theirs;
use crate::scene::Scene;
use crate::shapes;
use crate::shapes::Files;
use crate::world::kube::Kube;

/// How often is an object changed by hand?
const DRIFTS: usize = 20;

/// A push: the name of its row, its files, and how many applications are touched by it, from the first on.
type Push = (&'static str, Files, usize);

/// Measures with each number of applications, and one application of so many objects; prints a table and returns the
/// numbers.
pub async fn measure(program: &Path, numbers: &[usize], objects: usize, flux: bool) -> Value {
    if flux {
        controllers::withdraw(&Kube::connect("east").await).await;
    }
    let mut all = Vec::new();
    rows::head(flux);
    for &number in numbers {
        let mut rows = applications(program, number).await;
        if flux {
            rows::beside(&mut rows, &theirs(&names(number), &pushes(number)).await);
        }
        all.extend(rows::told(rows));
    }
    let mut rows = one_of_many_objects(program, objects).await;
    if flux {
        rows::beside(&mut rows, &theirs(&names(1), &pushes_of_objects(objects)).await);
    }
    all.extend(rows::told(rows));
    goals::tell(&all);
    json!(all)
}

fn names(number: usize) -> Vec<String> {
    (0..number).map(|one| format!("a{one}")).collect()
}

/// Returns the pushes to so many applications of four objects each.
fn pushes(number: usize) -> [Push; 3] {
    let all = |round: usize| (0..number).map(move |one| shapes::application(one, round)).collect::<Files>();
    [
        ("first", all(1), number),
        ("all changed", all(2), number),
        ("one changed", vec![shapes::application(0, 3)], 1),
    ]
}

/// Returns the pushes to one application of so many ConfigMaps that Flux is given, too.
fn pushes_of_objects(objects: usize) -> [Push; 3] {
    [
        ("objects: first", shapes::config_maps(objects, 1, 1), 1),
        ("objects: unchanged", comment(1), 1),
        ("objects: one changed", shapes::config_maps(objects, 1, 2), 1),
    ]
}

/// Returns a file that declares nothing.
fn comment(round: usize) -> Files {
    vec![(format!("a0/note-{round}.yaml"), "# nothing\n".to_owned())]
}

/// Measures so many applications.
async fn applications(program: &Path, number: usize) -> Vec<Row> {
    let mut scene = Scene::new(program, &names(number)).await;
    let mut rows = Vec::new();
    for (what, files, touched) in pushes(number) {
        let cost = scene.push(&files, touched).await;
        let floor = scene.floor(&files).await;
        rows.push(rows::push(what, number, cost, Some(floor)));
    }
    rows.push(rows::peak(number, scene.peak_memory()));
    scene.clear().await;
    rows
}

/// Measures one application of so many ConfigMaps.
async fn one_of_many_objects(program: &Path, objects: usize) -> Vec<Row> {
    let mut scene = Scene::new(program, &names(1)).await;
    let mut rows = Vec::new();
    let [first, unchanged, changed] = pushes_of_objects(objects);
    let cost = scene.push(&first.1, first.2).await;
    let floor = scene.floor(&first.1).await;
    rows.push(rows::push(first.0, objects, cost, Some(floor)));
    rows.push(rows::push(unchanged.0, objects, scene.push(&unchanged.1, unchanged.2).await, None));
    scene.restart(program).await;
    rows.push(rows::push("objects: after a restart", objects, scene.push(&comment(2), 1).await, None));
    rows.push(rows::push(changed.0, objects, scene.push(&changed.1, changed.2).await, None));
    rows.push(drift(&scene, objects).await);
    rows.push(rows::peak(objects, scene.peak_memory()));
    scene.clear().await;
    rows
}

/// Changes objects by hand, one after the other.
async fn drift(scene: &Scene, objects: usize) -> Row {
    let mut healed = Times::default();
    for round in 0..DRIFTS {
        healed.add(scene.drift(round).await);
    }
    let text = format!(
        "{:<26}{DRIFTS:>7}{:>10.3}   p95 {:.3} s",
        "drift healed, p50",
        healed.percentile(50) / 1000.0,
        healed.percentile(95) / 1000.0
    );
    rows::other(text, json!({ "what": "drift healed", "number": objects, "times": healed.json() }))
}

/// Gives Flux the same pushes.
async fn theirs(applications: &[String], pushes: &[Push]) -> Theirs {
    let flux = Flux::new(applications).await;
    let mut costs = Vec::new();
    for (what, files, touched) in pushes {
        costs.push((*what, flux.push(files, *touched).await));
    }
    let peak = flux.peak_memory();
    flux.clear().await;
    Theirs { costs, peak }
}
