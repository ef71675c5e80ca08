//! What each annotation asks, row by row.

use serde_json::Value;
use serde_json::json;

use super::ANNOTATIONS;
use super::Awaited;
use super::Force;
use super::Hook;
use super::IGNORE;
use super::Prune;
use super::Stage;
use super::SyncMode;
use super::WAVE;
use super::Wish;
use super::is_braked;
use super::problems;
use crate::application::SelfHeal;
use crate::ignore::IgnoreRule;
use crate::object::ObjectId;

fn with(annotations: &[(&str, &str)]) -> Value {
    let annotations: serde_json::Map<String, Value> =
        annotations.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    json!({ "metadata": { "name": "x", "annotations": annotations } })
}

#[test]
fn each_row_is_read_and_each_of_others_words_for_it_asks_for_the_same() {
    for row in ANNOTATIONS {
        let own = with(&[(row.key, row.value)]);
        assert_eq!(problems(&own), Vec::<String>::new(), "{row:?}");
        assert_eq!(
            Wish::of(&with(&[(row.key, &row.value.to_uppercase())])) == Wish::of(&own),
            row.key != IGNORE
        );
        for alike in row.alike {
            assert_eq!(Wish::of(&with(&[*alike])), Wish::of(&own), "{alike:?}");
        }
    }
}

#[test]
fn the_words_mean_what_they_say() {
    let asks = |wish: Wish, annotations: &[(&str, &str)]| {
        assert_eq!(Wish::of(&with(annotations)), wish, "{annotations:?}")
    };
    let usual = Wish::default;
    asks(usual(), &[]);
    asks(Wish { prune: Prune::Disabled, ..usual() }, &[("windlass.dev/prune", "disabled")]);
    asks(Wish { prune: Prune::Confirm, ..usual() }, &[("windlass.dev/prune", "confirm")]);
    asks(Wish { sync: SyncMode::CreateOnly, ..usual() }, &[("windlass.dev/sync", "create-only")]);
    asks(Wish { sync: SyncMode::Merge, ..usual() }, &[("windlass.dev/sync", "merge")]);
    asks(Wish { sync: SyncMode::Disabled, ..usual() }, &[("windlass.dev/sync", "disabled")]);
    asks(Wish { self_heal: Some(SelfHeal::Correct), ..usual() }, &[("windlass.dev/self-heal", "correct")]);
    asks(Wish { self_heal: Some(SelfHeal::Report), ..usual() }, &[("windlass.dev/self-heal", "report")]);
    asks(Wish { self_heal: Some(SelfHeal::Off), ..usual() }, &[("windlass.dev/self-heal", "off")]);
    asks(Wish { force: Force::Enabled, ..usual() }, &[("windlass.dev/force", "enabled")]);
    asks(Wish { force: Force::WithDataLoss, ..usual() }, &[("windlass.dev/force", "enabled-with-data-loss")]);
    asks(Wish { waits_for: Awaited::Nothing, ..usual() }, &[("windlass.dev/health", "ignore")]);
    asks(Wish { waits_for: Awaited::Readiness, ..usual() }, &[("windlass.dev/health", "ready")]);
    asks(usual(), &[("windlass.dev/health", "wait")]);
}

#[test]
fn others_words_are_read_as_they_read_them() {
    let options = "argocd.argoproj.io/sync-options";
    let cases = [
        ((options, "Replace=true, Prune=false"), Wish { prune: Prune::Disabled, ..Wish::default() }),
        ((options, "Force=true,Replace=true"), Wish { force: Force::Enabled, ..Wish::default() }),
        ((options, "Replace=true"), Wish::default()),
        ((options, "Prune"), Wish::default()),
        (
            ("kustomize.toolkit.fluxcd.io/prune", "Disabled"),
            Wish { prune: Prune::Disabled, ..Wish::default() },
        ),
        (("kustomize.toolkit.fluxcd.io/prune", "perhaps"), Wish::default()),
        (("kustomize.toolkit.fluxcd.io/force", "disabled"), Wish::default()),
        (("argocd.argoproj.io/hook", "Later"), Wish::default()),
    ];
    for (annotation, wish) in cases {
        let object = with(&[annotation]);
        assert_eq!(Wish::of(&object), wish, "{annotation:?}");
        assert_eq!(problems(&object), Vec::<String>::new());
    }
    let labelled = json!({ "metadata": { "labels": { "kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent" } } });
    assert_eq!(Wish::of(&labelled).sync, SyncMode::CreateOnly);
    let both = with(&[
        ("kustomize.toolkit.fluxcd.io/ssa", "Merge"),
        ("kustomize.toolkit.fluxcd.io/reconcile", "disabled"),
    ]);
    assert_eq!(Wish::of(&both).sync, SyncMode::Disabled, "the more careful one counts");
}

#[test]
fn windlass_s_own_word_counts_before_others() {
    let object =
        with(&[("kustomize.toolkit.fluxcd.io/prune", "disabled"), ("windlass.dev/prune", "enabled")]);
    assert_eq!(Wish::of(&object).prune, Prune::Enabled);
}

#[test]
fn a_brake_is_flux_s_word_alone() {
    assert!(is_braked(&with(&[("kustomize.toolkit.fluxcd.io/reconcile", "disabled")])));
    for other in [("kustomize.toolkit.fluxcd.io/reconcile", "enabled"), ("windlass.dev/sync", "disabled")] {
        assert!(!is_braked(&with(&[other])), "{other:?}");
    }
}

#[test]
fn pointers_are_read_by_their_steps() {
    let read = |text: &str| Wish::of(&with(&[(IGNORE, text)])).ignore;
    let steps: Vec<Vec<String>> = read("/spec/replicas,\n /metadata/annotations/a.org~1b~0c  /data/")
        .iter()
        .map(|one| one.steps().to_vec())
        .collect();
    assert_eq!(
        steps,
        [vec!["spec", "replicas"], vec!["metadata", "annotations", "a.org/b~c"], vec!["data", ""]]
    );
}

#[test]
fn waves_are_whole_numbers_and_what_argo_cd_says_otherwise_is_none() {
    let argo = "argocd.argoproj.io/sync-wave";
    let cases: [(&[(&str, &str)], i32); 8] = [
        (&[], 0),
        (&[(WAVE, "3")], 3),
        (&[(WAVE, " -3 ")], -3),
        (&[(WAVE, "+3")], 3),
        (&[(argo, "-5")], -5),
        (&[(argo, "first")], 0),
        (&[(argo, "5"), (WAVE, "1")], 1),
        (&[(argo, "5"), (WAVE, "none")], 0),
    ];
    for (annotations, wave) in cases {
        assert_eq!(Wish::of(&with(annotations)).wave, wave, "{annotations:?}");
    }
}

#[test]
fn hooks_of_others_are_made_at_the_first_moment_that_windlass_has_too() {
    const ARGO: &str = "argocd.argoproj.io/hook";
    const HELM: &str = "helm.sh/hook";
    // annotations → the hook, and whether it is left alone
    type Case = (&'static [(&'static str, &'static str)], Option<Hook>, bool);
    let cases: [Case; 12] = [
        (&[(ARGO, "PreSync")], Some(Hook::Before), false),
        (&[(ARGO, "PreSync,PostSync")], Some(Hook::Before), false),
        (&[(ARGO, "Sync")], Some(Hook::During), false),
        (&[(HELM, "pre-install,pre-upgrade")], Some(Hook::Before), false),
        (&[(HELM, "post-upgrade, post-delete")], Some(Hook::After), false),
        (&[(ARGO, "SyncFail")], Some(Hook::Failed), false),
        (&[("windlass.dev/hook", "failed")], Some(Hook::Failed), false),
        (&[(ARGO, "Skip")], None, true),
        (&[(HELM, "test")], None, true),
        (&[(HELM, "pre-delete")], None, true),
        (&[(HELM, "test"), ("windlass.dev/hook", "after")], Some(Hook::After), false),
        (&[(ARGO, "PreSync"), ("windlass.dev/sync", "disabled")], Some(Hook::Before), true),
    ];
    for (annotations, hook, alone) in cases {
        let wish = Wish::of(&with(annotations));
        assert_eq!((wish.hook, wish.sync == SyncMode::Disabled), (hook, alone), "{annotations:?}");
    }
    let weighed = with(&[
        (HELM, "pre-install"),
        ("helm.sh/hook-weight", "-5"),
        ("helm.sh/hook-delete-policy", "before-hook-creation,hook-succeeded"),
    ]);
    let wish = Wish::of(&weighed);
    assert_eq!((wish.wave, wish.is_cleared), (-5, true));
}

#[test]
fn hooks_are_deleted_where_they_say_so() {
    const OWN: &str = "windlass.dev/hook-delete";
    const ARGO: &str = "argocd.argoproj.io/hook-delete-policy";
    // the annotation → is it deleted where its rollout succeeds, and where it failed
    let cases = [
        ((OWN, "succeeded"), true, false),
        ((OWN, "failed"), false, true),
        ((OWN, "Finished"), true, true),
        ((OWN, "before-next"), false, false),
        ((ARGO, "HookSucceeded"), true, false),
        ((ARGO, "HookFailed"), false, true),
        ((ARGO, "HookSucceeded, HookFailed"), true, true),
        ((ARGO, "BeforeHookCreation"), false, false),
        (("helm.sh/hook-delete-policy", "before-hook-creation,hook-failed"), false, true),
    ];
    for (annotation, succeeded, failed) in cases {
        let wish = Wish::of(&with(&[("windlass.dev/hook", "before"), annotation]));
        assert_eq!((wish.is_cleared, wish.is_cleared_failed), (succeeded, failed), "{annotation:?}");
    }
}

#[test]
fn hooks_are_waited_for_as_long_as_they_say() {
    let cases = [
        ("90s", Some(90_000)),
        (" 5m ", Some(300_000)),
        ("2h", Some(7_200_000)),
        ("0s", None),
        ("-1s", None),
        ("5", None),
        ("m", None),
        ("", None),
        ("1d", None),
        ("18446744073709551615h", None),
    ];
    for (text, millis) in cases {
        let object = with(&[("windlass.dev/hook-deadline", text)]);
        assert_eq!(Wish::of(&object).hook_deadline_ms, millis, "{text}");
        assert_eq!(problems(&object).is_empty(), millis.is_some(), "{text}");
    }
}

#[test]
fn what_holds_data_has_its_turn_as_a_hook_and_is_never_made_anew() {
    for (api_version, kind, anew) in [
        ("batch/v1", "Job", true),
        ("v1", "ConfigMap", true),
        ("v1", "PersistentVolumeClaim", false),
        ("v1", "Namespace", false),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition", false),
        ("apps/v1", "StatefulSet", false),
        ("example.org/v1", "StatefulSet", true),
    ] {
        let mut object = with(&[("helm.sh/hook", "pre-install")]);
        object["apiVersion"] = json!(api_version);
        object["kind"] = json!(kind);
        let wish = Wish::of(&object);
        assert_eq!((wish.is_made_anew(), wish.turn().stage), (anew, Stage::Before), "{kind}");
    }
}

#[test]
fn what_is_not_known_is_a_problem_that_repeats_no_value() {
    let many = "/a ".repeat(65);
    let deep = "/a".repeat(65);
    let cases = [
        (
            "windlass.dev/prune",
            "hunter2",
            "windlass.dev/prune with a value that is none; it may be disabled, confirm, enabled",
        ),
        ("windlass.dev/sync", "IfNotPresent", "it may be disabled, create-only, merge, enabled"),
        (
            "windlass.dev/prun",
            "disabled",
            "windlass.dev/prun, which is none; after windlass.dev/ comes prune, sync, self-heal, conflicts, ignore, force, health, wave, hook, hook-delete, hook-deadline",
        ),
        (WAVE, "hunter2", "no whole number, such as -1 or 2"),
        (WAVE, "1.5", "no whole number"),
        (WAVE, "99999999999", "no whole number"),
        (IGNORE, "", "names no field"),
        (IGNORE, "spec.replicas", "begin each with a slash"),
        (IGNORE, "/spec/~2", "write ~0 for a tilde"),
        (IGNORE, "/", "leaves to others what windlass needs"),
        (IGNORE, "/metadata/labels", "leaves to others what windlass needs"),
        (
            IGNORE,
            "/metadata/labels/applyset.kubernetes.io~1part-of",
            "the label by which the object is a member",
        ),
        (IGNORE, &many, "more than 64 fields"),
        (IGNORE, &deep, "more than 64 steps"),
    ];
    for (key, value, words) in cases {
        let object = with(&[(key, value)]);
        let told = problems(&object);
        assert!(
            told.len() == 1 && told[0].contains(words) && !told[0].contains("hunter2"),
            "{key}: {told:?}"
        );
        assert_eq!(Wish::of(&object), Wish::default(), "{key}: what is not understood asks for nothing");
    }
    let number = json!({ "metadata": { "annotations": { "windlass.dev/prune": false } } });
    assert!(problems(&number)[0].contains("no text; quote it"));
}

#[test]
fn a_rule_of_the_settings_adds_to_what_the_object_asks() {
    let rule = |name: &str, fields: &[&str], managers: &[&str]| -> IgnoreRule {
        let kind = json!({ "group": "apps", "kind": "Deployment" });
        serde_json::from_value(json!({ "kind": kind, "name": name, "fields": fields, "managers": managers }))
            .unwrap()
    };
    let id: ObjectId = serde_json::from_value(
        json!({ "group": "apps", "kind": "Deployment", "namespace": null, "name": "web" }),
    )
    .unwrap();
    let mut wish = Wish::of(&with(&[(IGNORE, "/spec/replicas")]));
    let rules = [
        rule("web", &["/spec/replicas", "/spec/paused"], &["tuner"]),
        rule("other", &["/spec/template"], &["other"]),
    ];
    wish.heed(&rules, &id);
    let steps: Vec<_> = wish.ignore.iter().map(|one| one.steps().join("/")).collect();
    assert_eq!(steps, ["spec/replicas", "spec/paused"], "none is there twice");
    assert_eq!(wish.managers, ["tuner"]);
    for (fields, managers, cedes) in
        [(&["/spec/a"][..], &[][..], true), (&[], &["tuner"], true), (&[], &[], false)]
    {
        let mut wish = Wish::default();
        wish.heed(&[rule("web", fields, managers)], &id);
        assert_eq!(wish.cedes(), cedes, "{fields:?} {managers:?}");
    }
}
