//! What the courier sends, and what it makes of whatever comes back.

use std::error::Error as _;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::Courier;
use super::Error;
use crate::fault::Fault;
use crate::forge::Answer;
use crate::forge::HttpRequest;
use crate::forge::Kind;
use crate::outcome::Phase;
use crate::secret::Secret;

const TOKEN: &str = "a-token-of-more-than-16-bytes";

fn request(url: String) -> HttpRequest {
    HttpRequest {
        method: "POST",
        url,
        scheme: "token",
        headers: vec![("content-type", "application/json".to_owned())],
        body: "{\"state\":\"success\"}".to_owned(),
        phase: Phase::Healthy,
    }
}

async fn send(url: String) -> Result<Answer, Error> {
    send_by(&Courier::new().unwrap().near([url.as_str()]), url).await
}

async fn send_by(courier: &Courier, url: String) -> Result<Answer, Error> {
    let request = request(url);
    let rules = Kind::Gitea.rules();
    let token = Secret::new(TOKEN).unwrap();
    courier.send(&request, &token, |answer| rules.classify(&request, answer)).await
}

async fn ask(answer: Vec<u8>) -> (Result<Answer, Error>, String) {
    ask_by(&Courier::new().unwrap(), answer, Duration::ZERO).await
}

/// Answers the first connection with `answer`, then holds it open for `hold`; returns what was sent to it.
async fn ask_by(courier: &Courier, answer: Vec<u8>, hold: Duration) -> (Result<Answer, Error>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let forge = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 4096];
        let length = stream.read(&mut heard).await.unwrap();
        // The courier hangs up when it has read enough, so not all of a long answer can be written.
        let _written = stream.write_all(&answer).await;
        tokio::time::sleep(hold).await;
        String::from_utf8(heard[..length].to_vec()).unwrap()
    });
    let courier = courier.clone().near([format!("http://{address}").as_str()]);
    let answer = send_by(&courier, format!("http://{address}/api/v1/repos/o/r/statuses/abc")).await;
    if answer.is_err() {
        forge.abort();
        return (answer, String::new());
    }
    (answer, forge.await.unwrap())
}

fn plain(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[tokio::test]
async fn a_request_arrives_as_described_with_the_token_in_its_one_header() {
    let (answer, heard) = ask(plain("201 Created", "", "{}")).await;
    assert_eq!(answer.unwrap(), Answer::Taken);
    assert!(heard.starts_with("POST /api/v1/repos/o/r/statuses/abc HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("content-type: application/json\r\n"), "{heard}");
    assert!(heard.contains("user-agent: windlass/"), "{heard}");
    assert_eq!(heard.matches(TOKEN).count(), 1, "{heard}");
    assert!(heard.contains(&format!("authorization: token {TOKEN}\r\n")), "{heard}");
    assert!(heard.ends_with("{\"state\":\"success\"}"), "{heard}");
}

#[tokio::test]
async fn what_an_answer_means_is_the_forge_s_rule() {
    let cases = [
        (plain("429 Too Many", "retry-after: 7\r\n", ""), Answer::Later(Some(Duration::from_secs(7)))),
        (plain("503 Away", "", ""), Answer::Unsure(None)),
        (plain("500 Broken", "", "<html>"), Answer::Unsure(None)),
    ];
    for (bytes, expected) in cases {
        assert_eq!(ask(bytes).await.0.unwrap(), expected);
    }
    let refused = ask(plain("422 No", "", "{\"message\":\"too long\"}")).await.0.unwrap();
    assert!(matches!(&refused, Answer::Never(why) if why.contains("too long")), "{refused:?}");
    let token = ask(plain("401 No", "", "")).await.0.unwrap();
    assert!(matches!(token, Answer::Ours(_)), "{token:?}");
}

#[tokio::test]
async fn a_forge_at_a_private_address_is_reached_only_where_that_is_meant() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let other = format!("http://localhost:{}", port - 1);
    let courier = Courier::new().unwrap().near(["https://git.example.org/api/v1", other.as_str()]);
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let error = send_by(&courier, format!("http://{host}:{port}/")).await.unwrap_err();
        assert!(matches!(error, Error::Forbidden { .. }), "{host}: {error:?}");
        assert_eq!(error.fault(), Fault::Ours);
        assert!(error.to_string().contains("set private = true"), "{host}: {error}");
    }
    let nobody = tokio::time::timeout(Duration::from_millis(1), listener.accept()).await;
    assert!(nobody.is_err(), "a connection was made");
    let near = courier.near([format!("http://localhost:{port}").as_str()]);
    let url = format!("http://localhost:{port}/");
    let (_, met) = tokio::join!(
        tokio::time::timeout(Duration::from_secs(1), send_by(&near, url)),
        tokio::time::timeout(Duration::from_secs(1), listener.accept()),
    );
    assert!(met.is_ok(), "a forge that is meant to be near is reached");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("location: http://{}/\r\n", elsewhere.local_addr().unwrap());
    let (answer, _) = ask(plain("307 Elsewhere", &location, "")).await;
    assert!(matches!(answer.unwrap(), Answer::Ours(_)));
    let nobody = tokio::time::timeout(Duration::from_millis(1), elsewhere.accept()).await;
    assert!(nobody.is_err(), "the token went to an address that nobody configured");
}

#[tokio::test]
async fn an_endless_answer_is_left_after_the_bound() {
    let mut endless = b"HTTP/1.1 201 Created\r\ncontent-length: 99999999\r\n\r\n".to_vec();
    endless.resize(endless.len() + 3_000_000, b'x');
    assert_eq!(ask(endless).await.0.unwrap(), Answer::Taken);
}

#[tokio::test]
async fn a_forge_that_does_not_answer_or_is_not_there_is_away() {
    let half = b"HTTP/1.1 201 Created\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
    let impatient = Courier::within(Duration::from_millis(50)).unwrap();
    let (silent, _) = ask_by(&impatient, half, Duration::from_secs(3600)).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for error in [silent.unwrap_err(), send(format!("http://{closed}/")).await.unwrap_err()] {
        assert_eq!(error.fault(), Fault::Passing);
        let chain = format!("{error} {:?} {error:?}", error.source());
        assert!(chain.contains("127.0.0.1") && !chain.contains(TOKEN), "{chain}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_for_whoever_runs_windlass() {
    for url in ["", "gitea.example", "unix:/run/gitea", "http://", "http//u:hunter2@h"] {
        let error = send(url.to_owned()).await.unwrap_err();
        assert!(matches!(error, Error::Address { .. }), "{url}: {error:?}");
        assert_eq!(error.fault(), Fault::Ours);
        assert!(!format!("{error} {error:?}").contains(":hunter2"), "{error:?}");
    }
}
