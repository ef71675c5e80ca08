//! Repositories that name their objects by SHA-256. They are served by `git http-backend`, since Gitea makes such ones
//! only over Git 2.42 or newer.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use windlass::commit::CommitId;
use windlass::secret::Secret;
use windlass::source::Error;
use windlass::source::Settings;
use windlass::source::Source;

use crate::MAIN;
use crate::reference;
use crate::world::git::git;

/// A work tree, and its bare repository behind Git's own server.
struct Served {
    folder: tempfile::TempDir,
    url: String,
}

impl Served {
    fn by(digest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = serve(folder.path().to_owned());
        let served = Self { folder, url };
        served.make_anew(digest);
        served
    }

    /// Makes both repositories, in the place of others where there are some.
    fn make_anew(&self, digest: &str) {
        for name in ["work", "bare.git"] {
            drop(std::fs::remove_dir_all(self.folder.path().join(name)));
        }
        let format = format!("--object-format={digest}");
        git(self.folder.path(), &["init", "--quiet", "--initial-branch=main", &format, "work"]);
        git(self.folder.path(), &["init", "--quiet", "--bare", &format, "bare.git"]);
        git(&self.folder.path().join("bare.git"), &["config", "uploadpack.allowAnySHA1InWant", "true"]);
    }

    fn git(&self, arguments: &[&str]) -> String {
        git(&self.folder.path().join("work"), arguments)
    }

    fn commit(&self, file: &str, content: &str) -> CommitId {
        let path = self.folder.path().join("work").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "change"]);
        self.git(&["push", "--quiet", "../bare.git", &format!("HEAD:{MAIN}")]);
        CommitId::parse(&self.git(&["rev-parse", "HEAD"])).unwrap()
    }

    fn source(&self) -> Source {
        let cache = self.folder.path().join("cache");
        // Git's server asks for no token.
        let token = Some(Secret::new("0123456789abcdef").unwrap());
        Source::open(Settings { token, ..crate::settings(&self.url, &cache) }).unwrap()
    }
}

/// Serves the repositories of a folder for as long as the process lives, and returns the URL of one.
fn serve(root: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/bare.git", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, root) = (stream.unwrap(), root.clone());
            std::thread::spawn(move || answer(&stream, &root));
        }
    });
    url
}

/// Answers one request with what `git http-backend` answers, and closes.
fn answer(stream: &TcpStream, root: &Path) {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap() == 0 {
            return;
        }
    }
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")));
        line.map_or("", |line| &line[name.len() + 2..])
    };
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut body = vec![0; header("content-length").parse().unwrap_or_default()];
    reader.read_exact(&mut body).unwrap();
    let mut backend = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    backend.stdin.take().unwrap().write_all(&body).unwrap();
    let said = backend.wait_with_output().unwrap().stdout;
    writer.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n").unwrap();
    writer.write_all(&said).unwrap();
}

#[tokio::test]
async fn a_repository_that_names_objects_by_sha256_is_read_like_any_other() {
    let served = Served::by("sha256");
    let source = served.source();
    assert_eq!(source.resolve(&reference(MAIN), &[]).await.unwrap().tip, None, "an empty one has no main");
    let first = served.commit("apps/web.yaml", "a: 1\n");
    assert_eq!(first.as_str().len(), 64);
    assert_eq!(source.resolve(&reference(MAIN), &[]).await.unwrap().tip.as_ref(), Some(&first));
    let second = served.commit("apps/b/x.json", "{}");
    served.git(&["tag", "--annotate", "v1.0.0", "--message", "one"]);
    served.git(&["push", "--quiet", "../bare.git", "v1.0.0"]);
    let [short, unknown] = [40, 64].map(|digits| CommitId::parse(&"d".repeat(digits)).unwrap());
    let also = [short.clone(), unknown, first.clone()];
    let resolved = source.resolve(&reference("tags 1.x"), &also).await.unwrap();
    assert_eq!((resolved.tip.as_ref(), resolved.found), (Some(&second), vec![first.clone()]));
    for (commit, files) in [(&first, 1), (&second, 2)] {
        assert_eq!(source.read(commit, "apps").await.unwrap().len(), files);
    }
    assert_eq!(source.message(&second).await.unwrap().trim(), "change");
    assert_eq!(source.inputs(&second, "apps").await.unwrap().0, served.git(&["rev-parse", "HEAD:apps"]));
    assert_eq!(source.resolve(&reference(short.as_str()), &[]).await.unwrap().tip, None);
    git(&served.folder.path().join("cache/shop"), &["fsck", "--connectivity-only"]);
    // What a former process left is used as it is.
    let again = served.source();
    assert_eq!(again.read(&first, "apps").await.unwrap().len(), 1);
    assert_eq!(again.resolve(&reference(first.as_str()), &[]).await.unwrap().tip, Some(first));
}

#[tokio::test]
async fn a_repository_that_was_made_anew_by_another_digest_is_cloned_anew() {
    let served = Served::by("sha1");
    let source = served.source();
    for digest in ["sha1", "sha256", "sha1"] {
        served.make_anew(digest);
        let commit = served.commit("a.yaml", "a: 1\n");
        let resolved = source.resolve(&reference(MAIN), &[]).await.unwrap();
        assert_eq!(resolved.tip.as_ref(), Some(&commit), "{digest}");
        assert_eq!(source.read(&commit, "").await.unwrap().len(), 1);
        let short = CommitId::parse(&"e".repeat(40)).unwrap();
        let error = source.read(&short, "").await.unwrap_err();
        assert!(matches!(error, Error::NoCommit { .. }), "{error}");
    }
}
