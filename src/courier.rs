//! The courier: sends the requests that the rules of a forge describe, and returns what the answers mean.
//!
//! It adds the token, which goes nowhere but into the one header for it, and it follows no redirect: a token never
//! goes to an address that the settings do not name.

use std::time::Duration;

use reqwest::Client;
use reqwest::Method;
use reqwest::Response;
use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderName;
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;

use crate::fault::Fault;
use crate::forge::Answer;
use crate::forge::Forge;
use crate::forge::HttpAnswer;
use crate::forge::HttpRequest;
use crate::moment::Moment;
use crate::secret::Secret;

/// How long may a connection take to be made, with its handshake?
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long may a request take, from the first byte sent to the last byte read?
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How many bytes of an answer are read?
const ANSWER_BYTES: usize = 64 * 1024;

/// Sends requests to forges. Cheap to clone; all clones share their connections.
#[derive(Clone, Debug)]
pub struct Courier {
    client: Client,
}

/// Why there is no answer. The texts fit after "failed to"; none holds a token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing can be sent from this machine.
    #[error("make ready to speak HTTPS (are the certificates of the system's authorities installed?)")]
    Prepare(#[source] reqwest::Error),
    /// The request has no address that can be asked.
    #[error("read the address of the forge's API, {url}: correct it in the settings")]
    Address {
        /// The address as it was given.
        url: String,
    },
    /// The token or another header has characters that no header may have.
    #[error("write the header {name}: remove the line breaks and other control characters from its value")]
    Header {
        /// The header.
        name: String,
    },
    /// The forge did not answer in time, or could not be reached.
    #[error("reach the forge at {host}")]
    Reach {
        /// The host that was asked.
        host: String,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
}

impl Error {
    /// Says whose turn it is: a forge that is away comes back, the rest is in the settings or the machine.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Reach { .. } => Fault::Passing,
            Self::Prepare(_) | Self::Address { .. } | Self::Header { .. } => Fault::Ours,
        }
    }
}

/// Names ring as the process's one provider of cryptography. Calling it again changes nothing.
pub fn prepare() {
    // It fails exactly when a provider has been named already, which is as good.
    let _named = rustls::crypto::ring::default_provider().install_default();
}

impl Courier {
    /// Makes a courier.
    ///
    /// # Errors
    /// The system has no certificates of authorities to trust.
    pub fn new() -> Result<Self, Error> {
        Self::within(ANSWER_WITHIN)
    }

    fn within(answer: Duration) -> Result<Self, Error> {
        prepare();
        let client = Client::builder()
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(answer)
            .build()
            .map_err(Error::Prepare)?;
        Ok(Self { client })
    }

    /// Sends a request with a token, and returns what the forge's answer means for it. Of a long answer only the first
    /// 64 KiB count.
    ///
    /// # Errors
    /// The forge gave no answer within 10 s, or the request cannot be written as one.
    pub async fn send(
        &self,
        forge: &dyn Forge,
        request: &HttpRequest,
        token: &Secret,
    ) -> Result<Answer, Error> {
        let url = Url::parse(&request.url).ok().filter(Url::has_host);
        let url = url.ok_or_else(|| Error::Address { url: request.url.clone() })?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let reach = |error: reqwest::Error| Error::Reach { host: host.clone(), source: error.without_url() };
        let method = Method::from_bytes(request.method.as_bytes()).unwrap_or(Method::POST);
        let sending = self.client.request(method, url).headers(headers(request, token)?);
        let mut response = sending.body(request.body.clone()).send().await.map_err(reach)?;
        let body = first_bytes(&mut response).await.map_err(reach)?;
        Ok(judge(forge, request, &response, &body))
    }

    /// Posts a signed delivery to a door, and returns the status code and the body of the answer, at most 64 KiB.
    ///
    /// # Errors
    /// The door gave no answer within 10 s, or the request cannot be written as one.
    pub async fn knock(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<(u16, String), Error> {
        let address = Url::parse(url).ok().filter(Url::has_host);
        let address = address.ok_or_else(|| Error::Address { url: url.to_owned() })?;
        let host = address.host_str().unwrap_or_default().to_owned();
        let reach = |error: reqwest::Error| Error::Reach { host: host.clone(), source: error.without_url() };
        let headers = plain_headers(headers)?;
        let sending = self.client.post(address).headers(headers).body(body);
        let mut response = sending.send().await.map_err(reach)?;
        let status = response.status().as_u16();
        let body = first_bytes(&mut response).await.map_err(reach)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

fn plain_headers(list: &[(&'static str, String)]) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        let refused = || Error::Header { name: (*name).to_owned() };
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        headers.insert(parsed, HeaderValue::from_str(value).map_err(|_| refused())?);
    }
    Ok(headers)
}

fn headers(request: &HttpRequest, token: &Secret) -> Result<HeaderMap, Error> {
    let mut headers = plain_headers(&request.headers)?;
    let introduced = format!("{} {}", request.scheme, token.expose());
    let mut value = HeaderValue::from_str(&introduced)
        .map_err(|_| Error::Header { name: AUTHORIZATION.as_str().to_owned() })?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(headers)
}

/// Reads an answer's body up to the bound, and leaves the rest.
async fn first_bytes(response: &mut Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES {
        let Some(chunk) = response.chunk().await? else { break };
        let room = ANSWER_BYTES - body.len();
        body.extend(chunk.iter().take(room));
    }
    Ok(body)
}

fn judge(forge: &dyn Forge, request: &HttpRequest, response: &Response, body: &[u8]) -> Answer {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let headers: Vec<(String, String)> = response
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?)))
        .collect();
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = HttpAnswer {
        status: response.status().as_u16(),
        headers: &headers,
        body,
        now: Moment(jiff::Timestamp::now().as_millisecond()),
    };
    forge.classify(request, &answer)
}

#[cfg(test)]
mod tests {
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
        send_by(&Courier::new().unwrap(), url).await
    }

    async fn send_by(courier: &Courier, url: String) -> Result<Answer, Error> {
        courier.send(Kind::Gitea.rules(), &request(url), &Secret::new(TOKEN).unwrap()).await
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
        let answer = send_by(courier, format!("http://{address}/api/v1/repos/o/r/statuses/abc")).await;
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
            (plain("503 Away", "", ""), Answer::Later(None)),
            (plain("500 Broken", "", "<html>"), Answer::Later(None)),
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
        endless.resize(endless.len() + 1_000_000, b'x');
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
        for url in ["", "gitea.example", "unix:/run/gitea", "http://"] {
            let error = send(url.to_owned()).await.unwrap_err();
            assert!(matches!(error, Error::Address { .. }), "{url}: {error:?}");
            assert_eq!(error.fault(), Fault::Ours);
        }
    }
}
