//! Where the broker is and how it is greeted: the URL, TLS, and the version that it says it has.

use futures::AsyncReadExt;
use futures::AsyncWriteExt;
use lapin::tcp::AMQPUriTcpExt;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPScheme;
use lapin::uri::AMQPUri;

use crate::queue::Error;
use crate::queue::rabbit::OLDEST;
use crate::queue::rabbit::Options;
use crate::queue::rabbit::failure::failed;

/// After how many seconds of silence, at most, is the other side given up? Half of it is the beat.
const HEARTBEAT: u16 = 10;
/// How long may one TCP connection take to come about, in milliseconds?
const CONNECT_MILLIS: u64 = 5_000;
/// How many bytes may the broker's greeting have?
const GREETING_BYTES: usize = 64 << 10;
/// What a client says first.
const HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";
/// How a frame begins: a byte of kind, two of channel, four of length.
const FRAME_HEADER: usize = 7;

/// Where the broker is. It holds the password, so it does not show itself.
pub(super) struct Address {
    uri: AMQPUri,
    ca: Option<String>,
}

impl Address {
    /// Reads where the broker is.
    ///
    /// # Errors
    /// It is not a URL of AMQP, or names no user.
    pub(super) fn read(options: &Options) -> Result<Self, Error> {
        let why = "it is not a URL of AMQP";
        let mut uri: AMQPUri = options.url.expose().parse().map_err(|_| Error::Url { why })?;
        // Without one, the library would take the name that every broker knows.
        if !options.url.expose().contains('@') || uri.authority.userinfo.username.is_empty() {
            return Err(Error::Url { why: "it names no user" });
        }
        if options.ca.is_some() && uri.scheme == AMQPScheme::AMQP {
            return Err(Error::Url { why: "an authority is given, and the URL asks for no TLS" });
        }
        uri.query.heartbeat = uri.query.heartbeat.or(Some(HEARTBEAT));
        uri.query.connection_timeout = uri.query.connection_timeout.or(Some(CONNECT_MILLIS));
        Ok(Self { uri, ca: options.ca.clone() })
    }

    pub(super) fn uri(&self) -> AMQPUri {
        self.uri.clone()
    }

    pub(super) fn user(&self) -> &str {
        &self.uri.authority.userinfo.username
    }

    pub(super) fn tls(&self) -> OwnedTLSConfig {
        OwnedTLSConfig { identity: None, cert_chain: self.ca.clone() }
    }

    /// Lets the broker greet, says nothing more, and reads which version it is.
    ///
    /// # Errors
    /// It cannot be reached, is older than [`OLDEST`], or does not speak AMQP.
    pub(super) async fn probe(&self) -> Result<String, Error> {
        let read = async {
            let runtime = lapin::runtime::default_runtime()?;
            let mut stream = self.uri.connect_with_config_async(self.tls().as_ref(), &runtime).await?;
            stream.write_all(&HEADER).await?;
            let mut header = [0; FRAME_HEADER];
            stream.read_exact(&mut header).await?;
            let mut greeting = vec![0; length(header).min(GREETING_BYTES)];
            stream.read_exact(&mut greeting).await?;
            Ok(greeting)
        };
        let greeting = read.await.map_err(|error: lapin::Error| failed("greet the broker", error))?;
        let found = version(&greeting).unwrap_or_else(|| "of an unknown version".to_owned());
        if is_new_enough(&found) { Ok(found) } else { Err(Error::TooOld { found }) }
    }
}

/// How long is the frame behind that header?
fn length([_, _, _, a, b, c, d]: [u8; FRAME_HEADER]) -> usize {
    usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX)
}

/// The value of the server's property "version", which is a long string.
fn version(greeting: &[u8]) -> Option<String> {
    let name = b"\x07versionS";
    let at = greeting.windows(name.len()).position(|bytes| bytes == name)?;
    let (length, rest) = greeting.get(at + name.len()..)?.split_first_chunk::<4>()?;
    let text = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

fn is_new_enough(version: &str) -> bool {
    let major = |version: &str| version.split('.').next().and_then(|number| number.parse::<u32>().ok());
    major(version) >= major(OLDEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn versions_before_the_oldest_are_refused() {
        for (version, expected) in [
            ("3.10.8", false),
            ("3.13.7", false),
            ("4.0.5", true),
            ("4.3.6", true),
            ("10.0", true),
            ("of an unknown version", false),
        ] {
            assert_eq!(is_new_enough(version), expected, "{version}");
        }
    }

    #[test]
    fn the_version_is_read_out_of_the_greeting() {
        let greeting = b"\x07productS\x00\x00\x00\x08RabbitMQ\x07versionS\x00\x00\x00\x064.0.5!more";
        assert_eq!(version(greeting).as_deref(), Some("4.0.5!"));
        for broken in [
            &b""[..],
            b"\x07versionS",
            b"\x07versionS\x00\x00\x00\x09short",
            b"\x07versionS\xff\xff\xff\xffx",
        ] {
            assert_eq!(version(broken), None);
        }
    }

    #[test]
    fn a_url_that_is_none_is_refused_and_not_shown() {
        for url in ["correct horse battery", "http://a:swordfish@h/v", "amqp://localhost:5672/%2f"] {
            let options = Options::new(Secret::new(url).unwrap(), "w");
            let Err(refused) = Address::read(&options) else { panic!("{url} is taken") };
            assert!(matches!(refused, Error::Url { .. }) && !format!("{refused:?}").contains("swordfish"));
        }
    }
}
