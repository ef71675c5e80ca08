//! Sources against a real forge.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod cache;
mod contents;
mod digest;
mod history;
mod references;
mod server;
#[path = "../world/mod.rs"]
mod world;

use std::path::Path;

use windlass::application::Name;
use windlass::commit::CommitId;
use windlass::commit::Inputs;
use windlass::commit::RefName;
use windlass::dial::Reach;
use windlass::fault::Fault;
use windlass::reference::Reference;
use windlass::secret::Secret;
use windlass::source::Error;
use windlass::source::Limits;
use windlass::source::Settings;
use windlass::source::Source;
use world::bed;
use world::git::Repo;

const MAIN: &str = "refs/heads/main";

fn settings(url: &str, cache: &Path) -> Settings {
    Settings {
        name: Name::parse("shop").unwrap(),
        url: url.to_owned(),
        token: Some(Secret::new(bed("WINDLASS_BED_GITEA_ADMIN_TOKEN")).unwrap()),
        user: "x-access-token".to_owned(),
        reach: Reach::Private,
        cache: cache.to_owned(),
        limits: Limits::default(),
    }
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

/// A repository, and a source that reads it through an empty cache.
struct Scene {
    repo: Repo,
    cache: tempfile::TempDir,
    source: Source,
}

impl Scene {
    async fn new() -> Self {
        let repo = Repo::create().await;
        let cache = tempfile::tempdir().unwrap();
        let source = Source::open(settings(&repo.url, cache.path())).unwrap();
        Self { repo, cache, source }
    }

    async fn tip(&self) -> Option<CommitId> {
        self.source.resolve(&reference(MAIN), &[]).await.unwrap().tip
    }

    /// Commits and pushes one file, and brings the commit into the cache.
    async fn at(&self, file: &str, content: &str) -> CommitId {
        let commit = self.repo.commit("change", &[(file, content)]);
        self.repo.push(MAIN);
        assert_eq!(self.tip().await.as_ref(), Some(&commit));
        commit
    }

    fn bare(&self) -> std::path::PathBuf {
        self.cache.path().join("shop")
    }

    async fn paths(&self, commit: &CommitId, path: &str) -> Vec<String> {
        self.source.read(commit, path).await.unwrap().into_iter().map(|file| file.path).collect()
    }

    /// Pushes a commit whose tree is made of raw entries, which no work tree could hold, and fetches it.
    async fn raw(&self, entries: &str) -> CommitId {
        let tree = self.mktree(entries);
        let commit = self.repo.git(&["commit-tree", &tree, "-m", "raw"]);
        self.repo.git(&["push", "--quiet", "--force", "origin", &format!("{commit}:{MAIN}")]);
        self.tip().await.unwrap()
    }

    fn mktree(&self, entries: &str) -> String {
        let file = self.cache.path().join("entries");
        std::fs::write(&file, entries).unwrap();
        let output = std::process::Command::new("git")
            .args(["mktree", "-z", "--missing"])
            .current_dir(self.repo.folder())
            .stdin(std::fs::File::open(file).unwrap())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Makes a tree of one file whose name no command of Git would write.
    fn forged(&self, name: &str, blob: &str) -> String {
        let id = (0..blob.len()).step_by(2).map(|at| u8::from_str_radix(&blob[at..at + 2], 16).unwrap());
        let tree: Vec<u8> = format!("100644 {name}\0").into_bytes().into_iter().chain(id).collect();
        let file = self.cache.path().join("tree");
        std::fs::write(&file, tree).unwrap();
        let file = file.to_str().unwrap();
        self.repo.git(&["hash-object", "-t", "tree", "-w", "--literally", file])
    }

    fn blob(&self, content: &str) -> String {
        std::fs::write(self.repo.folder().join("blob"), content).unwrap();
        self.repo.git(&["hash-object", "-w", "blob"])
    }
}

#[tokio::test]
async fn a_ref_resolves_to_its_tip_and_its_files_can_be_read() {
    let scene = Scene::new().await;
    assert_eq!(scene.tip().await, None, "an empty repository has no main");
    let first = scene.at("apps/web.yaml", "a: 1\n").await;
    scene
        .repo
        .commit("more", &[("apps/b/x.JSON", "{}"), ("apps/README.md", "#"), ("apps/.hidden/y.yaml", "")]);
    let second = scene.at("apps/.z.yaml", "").await;
    assert_eq!(scene.paths(&second, "apps").await, ["b/x.JSON", "web.yaml"]);
    assert_eq!(scene.paths(&second, "").await, ["apps/b/x.JSON", "apps/web.yaml"]);
    assert_eq!(scene.paths(&second, "apps/web.yaml").await, ["web.yaml"]);
    assert_eq!(scene.paths(&first, "apps/").await, ["web.yaml"]);
    let files = scene.source.read(&second, "apps").await.unwrap();
    assert_eq!(files[1].bytes, b"a: 1\n");
}

#[tokio::test]
async fn inputs_change_with_what_stands_at_the_path_only() {
    let scene = Scene::new().await;
    let first = scene.at("apps/a/x.yaml", "a: 1\n").await;
    let second = scene.at("apps/b/x.yaml", "a: 2\n").await;
    let paths = ["apps/a", "apps/b", "", "apps/a/x.yaml", "none", "apps/a/x.yaml/y"].map(str::to_owned);
    let before = scene.source.inputs_of(&first, &paths).await.unwrap();
    let after = scene.source.inputs_of(&second, &paths).await.unwrap();
    assert_eq!(before[0], after[0]);
    assert_eq!((&before[1], before[1] == after[1]), (&Inputs::absent(), false));
    assert_ne!(before[2], after[2]);
    assert_eq!(before[3], after[3]);
    assert_eq!([&after[4], &after[5]], [&Inputs::absent(), &Inputs::absent()]);
    assert_eq!(scene.source.inputs(&second, "apps/b").await.unwrap(), after[1]);
}

#[tokio::test]
async fn other_commits_come_along_and_unknown_ones_are_no_error() {
    let scene = Scene::new().await;
    let first = scene.repo.commit("first", &[("a.yaml", "a: 1\n")]);
    let second = scene.repo.commit("second", &[("a.yaml", "a: 2\n")]);
    let third = scene.repo.commit("third", &[("a.yaml", "a: 3\n")]);
    scene.repo.push(MAIN);
    let unknown = CommitId::parse(&"d".repeat(40)).unwrap();
    let long = CommitId::parse(&"d".repeat(64)).unwrap();
    let also = [first.clone(), unknown.clone(), long, second.clone()];
    let resolved = scene.source.resolve(&reference(MAIN), &also).await.unwrap();
    assert_eq!(resolved.tip, Some(third.clone()));
    assert_eq!(resolved.found, [first.clone(), second]);
    assert_eq!(scene.source.read(&first, "").await.unwrap()[0].bytes, b"a: 1\n");
    let error = scene.source.read(&unknown, "").await.unwrap_err();
    assert!(matches!(error, Error::NoCommit { .. }) && error.fault() == Fault::Passing, "{error}");
}

#[tokio::test]
async fn a_forced_push_moves_the_tip_and_a_deleted_ref_has_none() {
    let scene = Scene::new().await;
    let first = scene.at("a.yaml", "a: 1\n").await;
    let second = scene.at("a.yaml", "a: 2\n").await;
    scene.repo.git(&["reset", "--quiet", "--hard", first.as_str()]);
    let third = scene.repo.commit("other", &[("a.yaml", "a: 3\n")]);
    scene.repo.force_push(MAIN);
    let resolved = scene.source.resolve(&reference(MAIN), std::slice::from_ref(&second)).await.unwrap();
    assert_eq!((resolved.tip, resolved.found), (Some(third), vec![second]));
    scene.repo.push("refs/heads/side");
    scene.repo.delete("refs/heads/side");
    let gone = scene.source.resolve(&reference("refs/heads/side"), &[first]).await.unwrap();
    assert_eq!((gone.tip, gone.found.len()), (None, 1));
}

#[tokio::test]
async fn an_annotated_tag_stands_for_its_commit() {
    let scene = Scene::new().await;
    let commit = scene.at("a.yaml", "a: 1\n").await;
    scene.repo.git(&["tag", "--annotate", "v1", "--message", "one"]);
    scene.repo.git(&["tag", "--annotate", "v2", "--message", "two", "v1"]);
    scene.repo.git(&["push", "--quiet", "origin", "v1", "v2"]);
    let tips = scene.source.tips().await.unwrap();
    for name in [MAIN, "refs/tags/v1", "refs/tags/v2"] {
        assert_eq!(tips.get(&RefName::parse(name).unwrap()), Some(&commit), "{name}");
        let resolved = scene.source.resolve(&reference(name), &[]).await.unwrap();
        assert_eq!(resolved.tip.as_ref(), Some(&commit), "{name}");
    }
}

#[tokio::test]
async fn a_tag_of_something_else_is_no_commit() {
    let scene = Scene::new().await;
    scene.at("a.yaml", "a: 1\n").await;
    scene.repo.git(&["tag", "words", "HEAD:a.yaml"]);
    scene.repo.git(&["push", "--quiet", "origin", "words"]);
    let error = scene.source.resolve(&reference("refs/tags/words"), &[]).await.unwrap_err();
    assert!(matches!(error, Error::NotACommit { .. }) && error.fault() == Fault::Theirs, "{error}");
}

#[tokio::test]
async fn a_ref_with_a_strange_name_disturbs_no_other() {
    let scene = Scene::new().await;
    let commit = scene.at("a.yaml", "a: 1\n").await;
    let strange = std::process::Command::new("git")
        .args(["push", "--quiet", "origin"])
        .arg(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"HEAD:refs/heads/\xff"))
        .current_dir(scene.repo.folder())
        .status()
        .unwrap();
    assert!(strange.success(), "the forge takes such a name");
    assert_eq!(scene.source.tips().await.unwrap().len(), 1);
    assert_eq!(scene.tip().await, Some(commit));
}
