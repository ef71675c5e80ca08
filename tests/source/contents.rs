//! What a commit may hold, and what is refused.

use windlass::commit::Inputs;
use windlass::fault::Fault;
use windlass::source::Error;
use windlass::source::Limits;
use windlass::source::Settings;
use windlass::source::Source;

use crate::MAIN;
use crate::Scene;
use crate::reference;
use crate::settings;

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
async fn a_name_that_is_a_whole_path_is_refused() {
    let scene = Scene::new().await;
    let blob = scene.blob("a: 1\n");
    for (name, told) in
        [("/etc/passwd.yaml", "`/etc/passwd.yaml`"), ("..", "`..`"), ("../up.yaml", "`../up.yaml`")]
    {
        let tree = scene.forged(name, &blob);
        let commit = scene.raw(&format!("040000 tree {tree}\tapps\0")).await;
        let error = scene.source.read(&commit, "apps").await.unwrap_err();
        assert_eq!(error.fault(), Fault::Theirs, "{error}");
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[tokio::test]
async fn a_submodule_whose_address_holds_a_password_is_refused_without_it() {
    let scene = Scene::new().await;
    let address = "https://bot:hunter2@git.example.org/team/lib.git";
    let modules = scene.blob(&format!("[submodule \"lib\"]\n\tpath = lib\n\turl = {address}\n"));
    let module = "c".repeat(40);
    let commit =
        scene.raw(&format!("100644 blob {modules}\t.gitmodules\0160000 commit {module}\tlib\0")).await;
    for path in ["", "lib"] {
        let error = scene.source.read(&commit, path).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Theirs);
        assert!(error.to_string().contains("is a submodule; commit its files instead"), "{error}");
        let all = format!("{error} {error:?}");
        assert!(!all.contains("hunter2") && !all.contains("git.example.org"), "{all}");
    }
}

#[tokio::test]
async fn a_file_that_is_called_like_an_option_is_a_file() {
    let scene = Scene::new().await;
    let names = ["--output=ran.yaml", "--upload-pack=touch ran;.yaml", "-c core.pager=ran.yaml", "-f.yaml"];
    let files: Vec<_> = names.iter().map(|name| (format!("-apps/{name}"), format!("a: {name}\n"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let commit = scene.repo.commit("options", &files);
    scene.repo.push(MAIN);
    assert_eq!(scene.tip().await.as_ref(), Some(&commit));
    assert_eq!(scene.paths(&commit, "-apps").await, names);
    for name in names {
        let path = format!("-apps/{name}");
        let file = scene.source.read(&commit, &path).await.unwrap().remove(0);
        assert_eq!(file.bytes, format!("a: {name}\n").into_bytes());
        assert_ne!(scene.source.inputs(&commit, &path).await.unwrap(), Inputs::absent());
    }
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
async fn a_tree_that_repeats_itself_is_refused_before_it_is_walked() {
    let scene = Scene::new().await;
    let blob = scene.blob("a: 1\n");
    let mut tree = scene.mktree(&format!("100644 blob {blob}\ta.txt\0"));
    // A forge walks what is pushed to it, so this one stays small: a thousand folders out of thirty entries.
    for _ in 0..3 {
        let entries: String = (0..10).map(|n| format!("040000 tree {tree}\t{n}\0")).collect();
        tree = scene.mktree(&entries);
    }
    let commit = scene.raw(&format!("040000 tree {tree}\tbomb\0")).await;
    let limits = Limits { files: 5, ..Limits::default() };
    let source = Source::open(Settings { limits, ..settings(&scene.repo.url, scene.cache.path()) }).unwrap();
    source.resolve(&reference(MAIN), &[]).await.unwrap();
    let error = source.read(&commit, "").await.unwrap_err();
    assert!(error.to_string().contains("more than 50 files and folders"), "{error}");
}

#[tokio::test]
async fn a_folder_of_endless_names_is_refused_before_it_is_read() {
    let scene = Scene::new().await;
    let blob = scene.blob("a: 1\n");
    let entries: String = (0..120_000).map(|n| format!("100644 blob {blob}\t{n:048}\0")).collect();
    let tree = scene.mktree(&entries);
    let commit = scene.raw(&format!("040000 tree {tree}\tlong\0")).await;
    let path = "long/deeper".to_owned();
    for error in [
        scene.source.read(&commit, "long").await.unwrap_err(),
        scene.source.read(&commit, "long/deeper").await.unwrap_err(),
        scene.source.inputs_of(&commit, &[path]).await.unwrap_err(),
    ] {
        assert_eq!(error.fault(), Fault::Theirs);
        assert!(error.to_string().contains("lists more than 8388608 bytes of names"), "{error}");
    }
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
