//! Where ranges of tags and fixed commits lead.

use windlass::commit::RefName;
use windlass::source::Error;

use crate::MAIN;
use crate::Scene;
use crate::reference;

#[tokio::test]
async fn a_range_leads_to_the_commit_of_its_highest_tag() {
    let scene = Scene::new().await;
    let first = scene.at("a.yaml", "a: 1\n").await;
    scene.repo.git(&["tag", "v1.9.0"]);
    let second = scene.at("a.yaml", "a: 2\n").await;
    scene.repo.git(&["tag", "--annotate", "1.10.0", "--message", "ten"]);
    scene.at("a.yaml", "a: 3\n").await;
    for other in ["v2.0.0", "latest", "v1.11.0-rc.1"] {
        scene.repo.git(&["tag", other]);
    }
    scene.repo.git(&["push", "--quiet", "origin", "--tags", "HEAD:refs/heads/v1.99.0"]);
    for (range, tag, commit) in [("1.x", "1.10.0", &second), ("<1.10", "v1.9.0", &first)] {
        let resolved = scene.source.resolve(&reference(&format!("tags {range}")), &[]).await.unwrap();
        assert_eq!(resolved.tip.as_ref(), Some(commit), "{range}");
        assert_eq!(resolved.name, Some(RefName::parse(&format!("refs/tags/{tag}")).unwrap()));
    }
    let none = scene.source.resolve(&reference("tags >=3"), std::slice::from_ref(&first)).await.unwrap();
    assert_eq!((none.tip, none.name, none.found), (None, None, vec![first]));
}

#[tokio::test]
async fn a_fixed_commit_needs_no_ref_and_once_fetched_no_server() {
    let scene = Scene::new().await;
    let first = scene.repo.commit("first", &[("a.yaml", "a: 1\n")]);
    let second = scene.repo.commit("second", &[("a.yaml", "a: 2\n")]);
    scene.repo.push(MAIN);
    let resolved = scene.source.resolve(&reference(first.as_str()), &[]).await.unwrap();
    assert_eq!((resolved.tip.as_ref(), resolved.name), (Some(&first), None));
    assert_eq!(scene.source.read(&first, "").await.unwrap()[0].bytes, b"a: 1\n");
    scene.repo.discard().await;
    let resolved = scene.source.resolve(&reference(first.as_str()), &[]).await.unwrap();
    assert_eq!(resolved.tip, Some(first));
    let away = scene.source.resolve(&reference(second.as_str()), &[]).await;
    assert!(matches!(away, Err(Error::NoRepository { .. })), "{away:?}");
}

#[tokio::test]
async fn a_fixed_commit_that_is_not_there_leads_nowhere() {
    let scene = Scene::new().await;
    scene.repo.commit("first", &[("a.yaml", "a: 1\n")]);
    scene.repo.push(MAIN);
    let tree = scene.repo.git(&["rev-parse", "HEAD^{tree}"]);
    for absent in ["d".repeat(40), "d".repeat(64)] {
        let resolved = scene.source.resolve(&reference(&absent), &[]).await.unwrap();
        assert_eq!((resolved.tip, resolved.name), (None, None), "{absent}");
    }
    match scene.source.resolve(&reference(&tree), &[]).await {
        Ok(resolved) => assert_eq!(resolved.tip, None),
        Err(error) => assert!(matches!(error, Error::NotACommit { .. }), "{error}"),
    }
    assert_eq!(scene.tip().await, Some(scene.repo.head()), "the cache is none the worse");
}
