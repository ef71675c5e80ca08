//! What somebody else changed in clusters, kept and forgotten.

use std::path::Path;
use std::process::Command;

use windlass::moment::Moment;
use windlass::object::ObjectId;
use windlass::outcome::Drift;
use windlass::outcome::Drifted;
use windlass::outcome::Told;
use windlass::store::Keep;

use crate::desk::Desk;
use crate::desk::commit;
use crate::desk::name;
use crate::desk::target;
use crate::place::Place;
use crate::place::on_both;

fn drift(run: &str, application: &str) -> Drift {
    Drift {
        run: run.to_owned(),
        source: name("git"),
        target: target(&format!("{application}@east")),
        commit: commit('a'),
        objects: Vec::new(),
        corrected: true,
        problems: Vec::new(),
        fights: Vec::new(),
    }
}

async fn runs(desk: &Desk, application: Option<&str>) -> Vec<String> {
    let application = application.map(name);
    let drifts = desk.store.drifts(application.as_ref(), 10).await.unwrap();
    drifts.into_iter().map(|(_, drift)| drift.run).collect()
}

async fn drift_is_kept_once_listed_by_application_and_forgotten(place: Place) {
    let desk = Desk::new(&place).await;
    for (run, application) in [("one", "shop"), ("two", "blog"), ("one", "shop"), ("three", "shop")] {
        desk.hear(Told::Drift(drift(run, application))).await;
    }
    assert_eq!(runs(&desk, None).await, ["three", "two", "one"]);
    assert_eq!(runs(&desk, Some("shop")).await, ["three", "one"]);
    let of_one = desk.store.drifts_of(&target("shop@east"), 10).await.unwrap();
    assert_eq!(of_one.iter().map(|(_, one)| one.run.as_str()).collect::<Vec<_>>(), ["three", "one"]);
    assert_eq!(desk.store.drifts_of(&target("shop@west"), 10).await.unwrap(), []);
    assert_eq!(desk.store.drifts(None, 1).await.unwrap()[0].1, drift("three", "shop"));
    let keep = Keep { runs: 1, ..Keep::default() };
    assert_eq!(desk.store.prune(Moment(0), &keep).await.unwrap().drifts, 1);
    assert_eq!(runs(&desk, None).await, ["three", "two"], "one of each target is kept");
    let later = Moment(0).plus(1_000 * 24 * 60 * 60 * 1_000);
    assert_eq!(desk.store.prune(later, &keep).await.unwrap().drifts, 2);
}

on_both!(drift_is_kept_once_listed_by_application_and_forgotten);

fn suggest(folder: &Path, more: &[&str]) -> String {
    let config = folder.join("windlass.toml");
    std::fs::write(&config, "[data]\ndir = \".\"\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    let output = command.args(["drift", "suggest"]).args(more).arg("--config").arg(config).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn drifted(kind: &str, name: &str, fields: &[&str], by: &str) -> Drifted {
    let group = if kind == "Deployment" { "apps" } else { "" };
    Drifted {
        object: ObjectId {
            group: group.into(),
            kind: kind.into(),
            namespace: Some("shop".into()),
            name: name.into(),
        },
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        by: Some(by.to_owned()),
        since: None,
    }
}

#[tokio::test]
async fn the_rule_that_would_settle_drift_is_printed_to_be_pasted() {
    let desk = Desk::new(&Place::Sqlite).await;
    let web = drifted("Deployment", "web", &["spec.replicas"], "hpa");
    let odd = drifted("ConfigMap", "odd", &["data[a\n[[guard]].b]"], "some\nbody");
    let gone = drifted("ConfigMap", "gone", &[], "kubectl");
    for (run, objects) in [("one", vec![web.clone(), gone]), ("two", vec![odd, web])] {
        desk.hear(Told::Drift(Drift { objects, ..drift(run, "shop") })).await;
    }
    let folder = desk.close().await;
    let text = suggest(folder.path(), &["Deployment/shop/web"]);
    let expected = "# hpa changed spec.replicas of Deployment/shop/web in east: 2 times, last at 1970-01-01T00:00:05Z.\n\
        # Instead, as an annotation in its manifest: windlass.dev/ignore: \"/spec/replicas\"\n\
        [[ignore_rules]]\nkind = \"Deployment\"\ngroup = \"apps\"\napplications = [\"shop\"]\n\
        namespace = \"shop\"\nname = \"web\"\nfields = [\"/spec/replicas\"]\n";
    assert_eq!(text, expected);
    let all = suggest(folder.path(), &[]);
    let lines: Vec<&str> = all.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(lines, ["[[ignore_rules]]"; 2], "no name ends its line: {all}");
    assert!(
        all.contains("kubectl deleted ConfigMap/shop/gone, or it is not declared in east: once"),
        "{all}"
    );
    assert!(all.contains("windlass.dev/self-heal: \"off\""), "{all}");
    assert_eq!(suggest(folder.path(), &["--application", "blog"]), "No drift was seen.\n");
    let json = suggest(folder.path(), &["--json", "Deployment/shop/web"]);
    assert!(json.contains(r#""annotation":{"windlass.dev/ignore":"/spec/replicas"}"#), "{json}");
}
