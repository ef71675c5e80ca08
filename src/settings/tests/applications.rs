//! What applications say of themselves and of each other.

use super::GOOD;
use super::folder;
use super::load;
use crate::application::Name;

/// The application that the embedded example depends on.
pub const DATABASE: &str = r#"
[[applications]]
name = "db"
source = "shop"
ref = "refs/heads/main"
clusters = ["east"]
"#;

#[test]
fn an_application_follows_a_ref_or_the_tags_of_a_range_or_a_commit() {
    let folder = folder();
    let long = "ab".repeat(32);
    for (line, reference) in [
        ("ref = \"refs/heads/main\"".to_owned(), "refs/heads/main"),
        ("tag = \">=1.2, <2\"".to_owned(), "tags >=1.2, <2"),
        (format!("commit = \"{long}\""), &long),
    ] {
        let text = GOOD.replace("ref = \"refs/heads/main\"", &line);
        let settings = load(folder.path(), &text, &[]).unwrap();
        assert_eq!(settings.applications[0].reference.to_string(), reference);
    }
}

#[test]
fn what_an_application_depends_on_is_declared_and_no_circle() {
    let folder = folder();
    let shop = |line: &str| GOOD.replace("clusters = [\"east\"]", &format!("clusters = [\"east\"]\n{line}"));
    for (line, wrong) in [
        ("depends_on = [\"db\"]", None),
        ("depends_on = [\"db@east\"]", None),
        ("depends_on = []", None),
        ("depends_on = [\"blog\"]", Some("applications: shop@east depends on blog@east, and no application")),
        (
            "depends_on = [\"db@west\"]",
            Some("applications: shop@east depends on db@west, and no application"),
        ),
        ("depends_on = [\"shop\"]", Some("so that none could begin: shop@east → shop@east")),
        ("depends_on = [\"DB\"]", Some("applications[0].depends_on[0]: must be the name of an application")),
        ("depends_on = [\"db@\"]", Some("applications[0].depends_on[0]: must be the name of an application")),
        ("depends_on = \"db\"", Some("applications[0].depends_on: ")),
    ] {
        let problems = load(folder.path(), &(shop(line) + DATABASE), &[]).err().unwrap_or_default();
        let fits = problems.iter().any(|problem| wrong.is_some_and(|wrong| problem.contains(wrong)));
        assert_eq!(
            (problems.len(), fits),
            (usize::from(wrong.is_some()), wrong.is_some()),
            "{line}: {problems:?}"
        );
    }
    let settings = load(folder.path(), &(shop("depends_on = [\"db@east\"]") + DATABASE), &[]).unwrap();
    let needed: Vec<String> = {
        let shop = &settings.applications[0];
        shop.clusters
            .iter()
            .flat_map(|cluster| shop.dependencies(cluster))
            .map(|one| one.to_string())
            .collect()
    };
    assert_eq!(needed, ["db@east"]);
}

#[test]
fn what_holds_for_all_applications_gives_way_to_their_own() {
    let folder = folder();
    let lists = "[[forges]]\nname=\"g\"\nkind=\"github\"\nurl=\"https://github.com\"\nwebhook_secrets=[{env=\"HOOK\"}]\n\
        [[sources]]\nname=\"a\"\nforge=\"g\"\nrepository=\"a/b\"\n\
        [[clusters]]\nname=\"east\"\nkubeconfig=\"east.kubeconfig\"\n\
        [[applications]]\nname=\"one\"\nsource=\"a\"\nref=\"refs/heads/main\"\nclusters=[\"east\"]\nnamespace=\"shop\"\n\
        [[applications]]\nname=\"two\"\nsource=\"a\"\nref=\"refs/heads/main\"\nclusters=[\"east\"]\nservice_account=\"ops/own\"\n";
    let users = |text: &str| -> Vec<Option<String>> {
        let settings = load(folder.path(), text, &[]).unwrap();
        settings.applications.iter().map(|one| one.user_in(&Name::parse("east").unwrap())).collect()
    };
    let own = Some("system:serviceaccount:ops:own".to_owned());
    assert_eq!(users(lists), [None, own.clone()]);
    let usual = format!("[reconcile]\nservice_account = \"deployer\"\n{lists}");
    assert_eq!(users(&usual), [Some("system:serviceaccount:shop:deployer".to_owned()), own]);
    let wrong = "[reconcile]\nservice_account = \"a/b/c\"\n[guard]\nkinds = [\"StatefulSet\"]\n";
    let problems = load(folder.path(), wrong, &[]).unwrap_err();
    for key in ["reconcile.service_account", "guard.kinds[0]"] {
        assert!(problems.iter().any(|problem| problem.contains(key)), "{key}: {problems:?}");
    }
    let good = "[guard]\nkinds = [\"StatefulSet.apps\", \"Secret\"]\n";
    let kinds = load(folder.path(), good, &[]).unwrap().guard.kinds;
    let kinds: Vec<(&str, &str)> = kinds.iter().map(|one| (one.group.as_str(), one.kind.as_str())).collect();
    assert_eq!(kinds, [("apps", "StatefulSet"), ("", "Secret")]);
}
