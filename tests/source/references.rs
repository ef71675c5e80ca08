//! Where ranges of tags and fixed commits lead, and repositories that name objects by SHA-256.

use windlass::commit::CommitId;
use windlass::commit::RefName;
use windlass::fault::Fault;
use windlass::source::Error;
use windlass::source::Source;

use crate::MAIN;
use crate::Scene;
use crate::reference;
use crate::settings;
use crate::world::git::Repo;
use crate::world::git::git;

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
    let tree = {
        scene.at("a.yaml", "a: 1\n").await;
        scene.repo.git(&["rev-parse", "HEAD^{tree}"])
    };
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

#[tokio::test]
async fn a_repository_that_names_objects_by_sha256_is_read_like_any_other() {
    let scene = Scene::over(Repo::create_by("sha256").await);
    assert_eq!(scene.tip().await, None, "an empty repository has no main");
    let first = scene.at("apps/web.yaml", "a: 1\n").await;
    assert_eq!(first.as_str().len(), 64);
    let second = scene.at("apps/b/x.json", "{}").await;
    assert_eq!(scene.paths(&second, "apps").await, ["b/x.json", "web.yaml"]);
    assert_eq!(scene.paths(&first, "apps").await, ["web.yaml"]);
    assert_eq!(scene.source.message(&second).await.unwrap().trim(), "change");
    let inputs = scene.source.inputs(&second, "apps").await.unwrap();
    assert_eq!(inputs.0, scene.repo.git(&["rev-parse", "HEAD:apps"]));
    scene.repo.git(&["tag", "--annotate", "v1.0.0", "--message", "one"]);
    scene.repo.git(&["push", "--quiet", "origin", "v1.0.0"]);
    let short = CommitId::parse(&"d".repeat(40)).unwrap();
    let unknown = CommitId::parse(&"d".repeat(64)).unwrap();
    let also = [short.clone(), unknown, first.clone()];
    let resolved = scene.source.resolve(&reference("tags 1.x"), &also).await.unwrap();
    assert_eq!((resolved.tip.as_ref(), resolved.found), (Some(&second), vec![first.clone()]));
    let fixed = scene.source.resolve(&reference(first.as_str()), &[]).await.unwrap();
    assert_eq!(fixed.tip.as_ref(), Some(&first));
    assert_eq!(scene.source.resolve(&reference(short.as_str()), &[]).await.unwrap().tip, None);
    git(&scene.bare(), &["fsck", "--connectivity-only"]);
    // What a former process left is used as it is.
    let again = Source::open(settings(&scene.repo.url, scene.cache.path())).unwrap();
    assert_eq!(again.read(&second, "apps").await.unwrap().len(), 2);
    assert_eq!(again.resolve(&reference(MAIN), &[]).await.unwrap().tip, Some(second));
}

#[tokio::test]
async fn a_repository_that_was_made_anew_by_the_other_digest_is_cloned_anew() {
    let cache = tempfile::tempdir().unwrap();
    for format in ["sha256", "sha1", "sha256"] {
        let repo = Repo::create_by(format).await;
        let commit = repo.commit("change", &[("a.yaml", "a: 1\n")]);
        repo.push(MAIN);
        let source = Source::open(settings(&repo.url, cache.path())).unwrap();
        let resolved = source.resolve(&reference(MAIN), &[]).await.unwrap();
        assert_eq!(resolved.tip.as_ref(), Some(&commit), "{format}");
        let error = source.read(&CommitId::parse(&"e".repeat(40)).unwrap(), "").await.unwrap_err();
        assert!(matches!(error, Error::NoCommit { .. }) && error.fault() == Fault::Passing, "{error}");
        assert_eq!(source.read(&commit, "").await.unwrap().len(), 1);
    }
}
