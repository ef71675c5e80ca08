//! Servers that refuse, redirect, are away or say nothing.

use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use windlass::application::Name;
use windlass::dial::Reach;
use windlass::fault::Fault;
use windlass::secret::Secret;
use windlass::source::Error;
use windlass::source::Limits;
use windlass::source::Settings;
use windlass::source::Source;

use crate::MAIN;
use crate::Scene;
use crate::reference;
use crate::settings;

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
            drop(stream.shutdown(std::net::Shutdown::Write));
        }
    });
    (port, heard)
}

#[tokio::test]
async fn a_redirect_to_another_host_is_refused_and_hears_nothing() {
    let cache = tempfile::tempdir().unwrap();
    let (thief, heard) = answering("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_owned());
    for (name, host) in [("host", "localhost"), ("port", "127.0.0.1")] {
        let to = format!("http://{host}:{thief}/x.git/info/refs?service=git-upload-pack");
        let moved =
            format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        let (port, asked) = answering(moved);
        let url = format!("http://127.0.0.1:{port}/x.git");
        let source = Source::open(settings(&url, &cache.path().join(name))).unwrap();
        let error = source.tips().await.unwrap_err();
        assert!(matches!(error, Error::Redirected { .. }) && error.fault() == Fault::Ours, "{name}: {error}");
        assert!(
            asked.try_recv().unwrap().contains("authorization: Basic"),
            "the source itself is told the token"
        );
        assert!(heard.try_recv().is_err(), "the other {name} hears nothing");
    }
}

#[tokio::test]
async fn whatever_a_server_answers_is_bounded_and_named() {
    let cases = [
        ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "it answers 503"),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n",
            "does not answer as a Git server",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nContent-Length: 3\r\n\r\nzzz",
            "reach",
        ),
        ("nonsense\r\n\r\n", "reach"),
        ("", "reach"),
    ];
    let cache = tempfile::tempdir().unwrap();
    for (answer, expected) in cases {
        let (port, _heard) = answering(answer.to_owned());
        let source = Source::open(settings(&format!("http://127.0.0.1:{port}/x.git"), cache.path())).unwrap();
        let error = source.tips().await.unwrap_err();
        assert!(matches!(error, Error::Reach { .. }) && error.fault() == Fault::Passing, "{answer}: {error}");
        assert!(error.to_string().contains(expected), "{answer}: {error}");
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up_on_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x.git", listener.local_addr().unwrap());
    let cache = tempfile::tempdir().unwrap();
    let limits = Limits { fetch_for: Duration::from_millis(200), ..Limits::default() };
    let source = Source::open(Settings { limits, ..settings(&url, cache.path()) }).unwrap();
    let error = source.tips().await.unwrap_err();
    assert!(matches!(error, Error::Late { .. }) && error.fault() == Fault::Passing, "{error}");
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_hangs_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x.git", listener.local_addr().unwrap());
    let cache = tempfile::tempdir().unwrap();
    let source = Source::open(settings(&url, cache.path())).unwrap();
    let call = tokio::spawn(async move { source.tips().await });
    let accepted = tokio::task::spawn_blocking(move || listener.accept().unwrap().0);
    let mut stream = accepted.await.unwrap();
    call.abort();
    let rest = tokio::task::spawn_blocking(move || stream.read_to_end(&mut Vec::new()));
    rest.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_source_at_a_private_address_is_reached_only_where_that_is_meant() {
    let cache = tempfile::tempdir().unwrap();
    let public = Settings { reach: Reach::Public, ..settings_without_a_bed(cache.path()) };
    let (port, heard) = answering("HTTP/1.1 404 None\r\ncontent-length: 0\r\n\r\n".to_owned());
    let written = Settings { url: format!("http://127.0.0.1:{port}/x"), ..public.clone() };
    let refused = Source::open(written).err().unwrap();
    let named = Settings { url: format!("http://localhost:{port}/x"), ..public.clone() };
    // A name is judged when it has been resolved.
    let unnamed = Source::open(named.clone()).unwrap().tips().await.unwrap_err();
    for error in [refused, unnamed] {
        assert!(matches!(error, Error::Forbidden { .. }) && error.fault() == Fault::Ours, "{error:?}");
        assert!(error.to_string().contains("set private = true"), "{error}");
    }
    assert!(heard.try_recv().is_err(), "a connection was made");
    let near = Source::open(Settings { reach: Reach::Private, ..named }).unwrap();
    assert!(matches!(near.tips().await.unwrap_err(), Error::NoRepository { .. }));
    assert!(heard.recv().unwrap().starts_with("GET /x/info/refs"));
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
        reach: Reach::Private,
        cache: cache.to_owned(),
        limits: Limits::default(),
    }
}
