//! Sources against a real forge.

mod world;

use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use windlass::application::Name;
use windlass::commit::CommitId;
use windlass::commit::Inputs;
use windlass::commit::RefName;
use windlass::fault::Fault;
use windlass::secret::Secret;
use windlass::source::Error;
use windlass::source::Limits;
use windlass::source::Settings;
use windlass::source::Source;
use world::bed;
use world::git::Repo;
use world::git::git;

const MAIN: &str = "refs/heads/main";

fn settings(url: &str, cache: &Path) -> Settings {
    Settings {
        name: Name::parse("shop").unwrap(),
        url: url.to_owned(),
        token: Some(Secret::new(bed("WINDLASS_BED_GITEA_ADMIN_TOKEN")).unwrap()),
        user: "x-access-token".to_owned(),
        cache: cache.to_owned(),
        limits: Limits::default(),
    }
}

fn reference(name: &str) -> RefName {
    RefName::parse(name).unwrap()
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
async fn eight_fetches_at_once_keep_the_cache_whole() {
    let scene = Scene::new().await;
    let commits: Vec<CommitId> =
        (0..16).map(|n| scene.repo.commit("n", &[("a.yaml", &format!("a: {n}\n"))])).collect();
    scene.repo.push(MAIN);
    // A second source over the same cache stands for another process.
    let other = Source::open(settings(&scene.repo.url, scene.cache.path())).unwrap();
    let main = reference(MAIN);
    let both = [&scene.source, &other];
    let fetches =
        commits.chunks(2).zip(both.iter().cycle()).map(|(pair, source)| source.resolve(&main, pair));
    for resolved in futures::future::join_all(fetches).await {
        assert_eq!(resolved.unwrap().found.len(), 2);
    }
    git(&scene.bare(), &["fsck", "--connectivity-only"]);
    let shallow = std::fs::read_to_string(scene.bare().join("shallow")).unwrap();
    assert_eq!(shallow.lines().count(), 16);
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
        assert_eq!(tips.get(&reference(name)), Some(&commit), "{name}");
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

#[tokio::test]
async fn what_is_no_plain_file_is_refused_by_name() {
    let scene = Scene::new().await;
    let blob = scene.blob("a: 1\n");
    let module = "c".repeat(40);
    let inner = scene.mktree(&format!("100644 blob {blob}\ta\\b.yaml\0"));
    let commit = scene
        .raw(&format!(
            "120000 blob {blob}\tlink.yaml\0160000 commit {module}\tmodule\0040000 tree {inner}\tinner\0\
             100644 blob {blob}\tnew\nline.yaml\0100644 blob {blob}\tfine.yaml\0"
        ))
        .await;
    let error = scene.source.read(&commit, "").await.unwrap_err();
    assert_eq!(error.fault(), Fault::Theirs);
    let told = error.to_string();
    for part in [
        "`link.yaml` is a symbolic link",
        "`module` is a submodule",
        "`inner/a\\\\b.yaml` has a slash or a backslash",
        "`new\\nline.yaml` has a control character",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("fine.yaml"));
    assert!(scene.source.read(&commit, "link.yaml").await.is_err());
}

#[tokio::test]
async fn a_commit_beyond_the_limits_is_refused_by_file_and_limit() {
    let scene = Scene::new().await;
    let mut files: Vec<(String, String)> =
        (0..6).map(|n| (format!("many/{n}.yaml"), "a: 1\n".to_owned())).collect();
    files.push(("large/x.yaml".to_owned(), "x".repeat(2000)));
    files.push(("deep/1/2/3/x.yaml".to_owned(), String::new()));
    files.extend((0..3).map(|n| (format!("heavy/{n}.yaml"), "x".repeat(900))));
    files.extend((0..60).map(|n| (format!("crowd/{n}.txt"), String::new())));
    let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let commit = scene.repo.commit("much", &files);
    scene.repo.push(MAIN);
    let limits = Limits { files: 5, file_bytes: 1000, total_bytes: 2000, depth: 2, ..Limits::default() };
    let source = Source::open(Settings { limits, ..settings(&scene.repo.url, scene.cache.path()) }).unwrap();
    source.resolve(&reference(MAIN), &[]).await.unwrap();
    let cases = [
        ("many", "`5.yaml` is one of more than 5 files"),
        ("large", "`x.yaml` has 2000 bytes, and a file may have 1000"),
        ("deep", "`1/2/3` lies deeper than 2 folders"),
        ("heavy", "`2.yaml` is one file too many: together they may have 2000 bytes"),
        ("crowd", "is one of more than 50 files and folders"),
    ];
    for (path, expected) in cases {
        let error = source.read(&commit, path).await.unwrap_err();
        assert!(matches!(error, Error::Contents { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_tree_that_repeats_itself_is_refused_and_soon() {
    let scene = Scene::new().await;
    let blob = scene.blob("a: 1\n");
    let mut tree = scene.mktree(&format!("100644 blob {blob}\ta.txt\0"));
    for _ in 0..12 {
        let entries: String = (0..10).map(|n| format!("040000 tree {tree}\t{n}\0")).collect();
        tree = scene.mktree(&entries);
    }
    let commit = scene.raw(&format!("040000 tree {tree}\tbomb\0")).await;
    let error = scene.source.read(&commit, "").await.unwrap_err();
    assert!(error.to_string().contains("more than 100000 files and folders"), "{error}");
}

#[tokio::test]
async fn a_path_that_is_not_there_is_named() {
    let scene = Scene::new().await;
    let commit = scene.at("apps/a.yaml", "a: 1\n").await;
    for path in ["app", "apps/b", "apps/a.yaml/c"] {
        let error = scene.source.read(&commit, path).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Theirs);
        assert!(error.to_string().contains(&format!("`{path}`")), "{error}");
    }
    for path in ["../etc", "/etc", "apps//a", "apps/.git", "a\\b", "apps/./a"] {
        let error = scene.source.read(&commit, path).await.unwrap_err();
        assert!(matches!(error, Error::BadPath { .. }), "{path}: {error}");
    }
}

#[tokio::test]
async fn a_wrong_token_is_ours_and_never_shown() {
    let scene = Scene::new().await;
    scene.at("a.yaml", "a: 1\n").await;
    let wrong = "0123456789abcdef-wrong-token";
    let token = Some(Secret::new(wrong).unwrap());
    for (token, name) in [(token, "wrong"), (None, "none")] {
        let cache = scene.cache.path().join(name);
        let source = Source::open(Settings { token, ..settings(&scene.repo.url, &cache) }).unwrap();
        let error = source.resolve(&reference(MAIN), &[]).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }) && error.fault() == Fault::Ours, "{name}: {error}");
        assert!(error.to_string().contains("check its token"), "{error}");
        assert!(!format!("{error:?} {error} {source:?}").contains(wrong));
    }
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_ours() {
    let scene = Scene::new().await;
    let url = scene.repo.url.replace(&scene.repo.name, "nothing-here");
    let source = Source::open(settings(&url, &scene.cache.path().join("other"))).unwrap();
    let error = source.tips().await.unwrap_err();
    assert!(matches!(error, Error::NoRepository { .. }) && error.fault() == Fault::Ours, "{error}");
}

#[tokio::test]
async fn a_server_that_is_away_is_passing() {
    let cache = tempfile::tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x.git", closed.local_addr().unwrap());
    drop(closed);
    let source = Source::open(settings(&url, cache.path())).unwrap();
    let error = source.tips().await.unwrap_err();
    assert!(matches!(error, Error::Reach { .. }) && error.fault() == Fault::Passing, "{error}");
}

/// Answers one request after the other with the same bytes, and returns its port and what it hears.
fn answering(answer: String) -> (u16, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).unwrap_or(0);
            if tell.send(String::from_utf8_lossy(&bytes[..read]).into_owned()).is_err() {
                return;
            }
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    (port, heard)
}

#[tokio::test]
async fn a_redirect_to_another_host_is_refused_and_hears_nothing() {
    let cache = tempfile::tempdir().unwrap();
    let unauthorized = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let (thief, heard) = answering(unauthorized.to_owned());
    let moved = |to: String| {
        format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    };
    let (other_host, _kept) =
        answering(moved(format!("http://localhost:{thief}/x.git/info/refs?service=git-upload-pack")));
    let source =
        Source::open(settings(&format!("http://127.0.0.1:{other_host}/x.git"), &cache.path().join("a")))
            .unwrap();
    let error = source.tips().await.unwrap_err();
    assert!(matches!(error, Error::Redirected { .. }) && error.fault() == Fault::Ours, "{error}");
    assert!(heard.try_recv().is_err(), "the other host hears nothing");
    let (other_port, _kept_too) =
        answering(moved(format!("http://127.0.0.1:{thief}/x.git/info/refs?service=git-upload-pack")));
    let source =
        Source::open(settings(&format!("http://127.0.0.1:{other_port}/x.git"), &cache.path().join("b")))
            .unwrap();
    let error = source.tips().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    let requests: Vec<String> = heard.try_iter().collect();
    assert!(!requests.is_empty() && requests.iter().all(|r| !r.contains("Authorization")), "{requests:?}");
}

#[tokio::test]
async fn a_fetch_that_nobody_waits_for_ends_and_one_that_is_late_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x.git", listener.local_addr().unwrap());
    let cache = tempfile::tempdir().unwrap();
    let limits = Limits { fetch_for: Duration::from_millis(200), ..Limits::default() };
    let source = Source::open(Settings { limits, ..settings(&url, cache.path()) }).unwrap();
    let error = source.tips().await.unwrap_err();
    assert!(matches!(error, Error::Late { .. }) && error.fault() == Fault::Passing, "{error}");
    drop(listener);
}

#[tokio::test]
async fn a_cancelled_fetch_leaves_the_cache_whole() {
    let scene = Scene::new().await;
    let noise: String =
        (0..400_000).map(|n: u64| format!("{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let commit = scene.repo.commit("large", &[("noise.txt", &noise), ("a.yaml", "a: 1\n")]);
    scene.repo.push(MAIN);
    let main = reference(MAIN);
    for millis in [5, 15, 30, 45, 60] {
        let cut = tokio::time::timeout(Duration::from_millis(millis), scene.source.resolve(&main, &[])).await;
        drop(cut);
    }
    assert_eq!(scene.tip().await, Some(commit.clone()));
    assert_eq!(scene.paths(&commit, "").await, ["a.yaml"]);
    git(&scene.bare(), &["fsck", "--connectivity-only"]);
    let limits = Limits { fetch_bytes: 100_000, ..Limits::default() };
    let settings = Settings { limits, ..settings(&scene.repo.url, &scene.cache.path().join("small")) };
    let error = Source::open(settings).unwrap().resolve(&main, &[]).await.unwrap_err();
    assert!(matches!(error, Error::Outgrown { .. }) && error.fault() == Fault::Theirs, "{error}");
}

#[tokio::test]
async fn a_corrupt_cache_is_cloned_anew() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 6] = [
        ("no HEAD", |bare| std::fs::remove_file(bare.join("HEAD")).unwrap()),
        ("a broken configuration", |bare| std::fs::write(bare.join("config"), "[core\nbare").unwrap()),
        ("a foreign configuration", |bare| {
            std::fs::write(bare.join("config"), "[core]\nbare = true\n").unwrap()
        }),
        ("no packs", |bare| std::fs::remove_dir_all(bare.join("objects/pack")).unwrap()),
        ("broken refs", |bare| {
            for entry in std::fs::read_dir(bare.join("refs/windlass")).unwrap() {
                std::fs::write(entry.unwrap().path(), "nonsense").unwrap();
            }
        }),
        ("an empty folder", |bare| {
            std::fs::remove_dir_all(bare).unwrap();
            std::fs::create_dir(bare).unwrap();
        }),
    ];
    let scene = Scene::new().await;
    for (number, (name, harm)) in harms.into_iter().enumerate() {
        let commit = scene.at("a.yaml", &format!("a: {number}\n")).await;
        harm(&scene.bare());
        let resolved = scene.source.resolve(&reference(MAIN), &[]).await;
        assert_eq!(resolved.unwrap_or_else(|e| panic!("{name}: {e}")).tip, Some(commit.clone()), "{name}");
        assert_eq!(scene.paths(&commit, "").await, ["a.yaml"], "{name}");
    }
}

#[tokio::test]
async fn what_a_reader_finds_broken_is_cloned_anew_by_the_next_resolve() {
    let scene = Scene::new().await;
    let commit = scene.at("a.yaml", "a: 1\n").await;
    for entry in std::fs::read_dir(scene.bare().join("objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "pack") {
            let mut bytes = std::fs::read(&path).unwrap();
            for byte in &mut bytes[12..] {
                *byte ^= 0x55;
            }
            std::fs::remove_file(&path).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
    let error = scene.source.read(&commit, "").await.unwrap_err();
    assert!(matches!(error, Error::Cache { .. }) && error.fault() == Fault::Passing, "{error}");
    assert_eq!(scene.tip().await, Some(commit.clone()));
    assert_eq!(scene.paths(&commit, "").await, ["a.yaml"]);
}

#[tokio::test]
async fn a_new_process_uses_the_cache_that_is_there() {
    let scene = Scene::new().await;
    let commit = scene.at("a.yaml", "a: 1\n").await;
    let again = Source::open(settings(&scene.repo.url, scene.cache.path())).unwrap();
    assert_eq!(again.read(&commit, "").await.unwrap().len(), 1);
    let packs = || std::fs::read_dir(scene.bare().join("objects/pack")).unwrap().count();
    let before = packs();
    assert_eq!(again.resolve(&reference(MAIN), &[]).await.unwrap().tip, Some(commit));
    assert_eq!(packs(), before, "nothing was fetched again");
}

#[tokio::test]
async fn only_the_newest_commits_are_kept_and_never_too_few() {
    let scene = Scene::new().await;
    let commits: Vec<CommitId> =
        (0..70).map(|n| scene.repo.commit("n", &[("a.yaml", &format!("a: {n}\n"))])).collect();
    scene.repo.push(MAIN);
    for batch in commits.chunks(35) {
        assert_eq!(scene.source.resolve(&reference(MAIN), batch).await.unwrap().found.len(), 35);
    }
    let kept = std::fs::read_dir(scene.bare().join("refs/windlass")).unwrap().count();
    assert_eq!(kept, 64);
    assert_eq!(scene.source.resolve(&reference(MAIN), &commits).await.unwrap().found.len(), 70);
}

#[test]
fn urls_that_carry_secrets_are_refused_without_showing_them() {
    let cache = tempfile::tempdir().unwrap();
    let token = Some(Secret::new("0123456789abcdef").unwrap());
    let plain = Settings { token, ..settings_without_a_bed(cache.path()) };
    for url in [
        "https://user:hunter2@git.example.com/x",
        "ssh://git@git.example.com/x",
        "https://git.example.com/x?t=hunter2",
    ] {
        let error = Source::open(Settings { url: url.to_owned(), ..plain.clone() }).unwrap_err();
        assert!(matches!(error, Error::Settings { .. }) && error.fault() == Fault::Ours);
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

fn settings_without_a_bed(cache: &Path) -> Settings {
    let name = Name::parse("shop").unwrap();
    Settings {
        name,
        url: String::new(),
        token: None,
        user: String::new(),
        cache: cache.to_owned(),
        limits: Limits::default(),
    }
}
