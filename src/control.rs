//! The socket in the data folder, where a running windlass is asked about its queue: the file of the embedded queue is
//! its own as long as it runs. There it is also told to look at the store, which others may write to.
//!
//! A guest writes one line of JSON, is answered with one line, and is done. The socket and its guests belong to the
//! user that windlass runs as.

use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::letters;
use crate::letters::Asked;
use crate::letters::Done;
use crate::queue::Queue;
use crate::store::Store;

/// What the socket is called, in the data folder.
const NAME: &str = "control.sock";
/// How many bytes may its path have? The system's address of a socket has room for so many, and a zero.
const PATH_BYTES: usize = 107;
/// How many bytes may a question have? Lanes and ids are shorter, however they are escaped.
const QUESTION_BYTES: u64 = 16 << 10;
/// How many bytes may an answer have? A list of all dead letters, or one with the largest body, is smaller.
const ANSWER_BYTES: u64 = 64 << 20;
/// How many guests are attended to at once? The others wait.
const GUESTS: usize = 4;
/// How long may a guest take for its question?
const ASK_WITHIN: Duration = Duration::from_secs(5);
/// How long may it take until a guest has its answer?
const ANSWER_WITHIN: Duration = Duration::from_mins(1);
/// How long is the door left alone when nobody can come in, for want of file descriptors for instance?
const PAUSE: Duration = Duration::from_secs(1);

/// Why a running windlass cannot be asked; each message reads on after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder lies too deep.
    #[error(
        "listen at {path}: this path has {bytes} bytes, and that of a socket at most {PATH_BYTES}; set data.dir to a shorter one"
    )]
    TooDeep {
        /// The path of the socket.
        path: PathBuf,
        /// How long it is.
        bytes: usize,
    },
    /// Something else is where the socket should be.
    #[error("listen at {path}: there is something else of that name; move it away")]
    Occupied {
        /// The path of the socket.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error("listen at {path}: see that its folder may be written")]
    Listen {
        /// The path of the socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Whoever listens cannot be reached.
    #[error("ask the windlass that runs, at {path}: ask as the user that it runs as")]
    Reach {
        /// The path of the socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// No answer came in time, or no whole one.
    #[error("hear the answer of the windlass that runs: it stopped or is busy; ask again")]
    Unanswered,
    /// The answer cannot be read.
    #[error("read the answer of the windlass that runs: ask with the program of its version")]
    Odd(#[source] serde_json::Error),
    /// It was asked, and failed. The words are its own.
    #[error("{0}")]
    Failed(String),
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done(Done),
    Looked,
    Failed(String),
}

/// What is said that is no question about letters.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// The store has something new about what keeps targets closed.
    Look,
}

/// The place where a running windlass is asked; the socket is taken away when this is dropped.
#[derive(Debug)]
pub struct Desk {
    listener: UnixListener,
    path: PathBuf,
    owner: u32,
}

impl Desk {
    /// Opens the desk in a data folder whose queue this process holds: so whatever socket is there is nobody's.
    ///
    /// # Errors
    /// The path is too long, occupied by something else, or cannot be written.
    pub fn open(data: &Path) -> Result<Self, Error> {
        let path = data.join(NAME);
        let bytes = path.as_os_str().as_bytes().len();
        if bytes > PATH_BYTES {
            return Err(Error::TooDeep { path, bytes });
        }
        let listen = |source| Error::Listen { path: path.clone(), source };
        match std::fs::symlink_metadata(&path) {
            Ok(found) if found.file_type().is_socket() => std::fs::remove_file(&path).map_err(listen)?,
            Ok(_) => return Err(Error::Occupied { path }),
            Err(_) => {}
        }
        let listener = UnixListener::bind(&path).map_err(listen)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(listen)?;
        let owner = std::fs::symlink_metadata(&path).map_err(listen)?.uid();
        Ok(Self { listener, path, owner })
    }

    /// Attends to guests, for ever.
    pub async fn serve(self, queue: Queue, store: Option<Store>) {
        let mut guests = JoinSet::new();
        loop {
            while guests.len() >= GUESTS {
                guests.join_next().await;
            }
            match self.listener.accept().await {
                Ok((guest, _)) if self.may_ask(&guest) => {
                    guests.spawn(attend(guest, queue.clone(), store.clone()));
                }
                Ok(_) => tracing::warn!("another user asked at {}, and was not heard", self.path.display()),
                Err(error) => {
                    tracing::warn!(%error, "failed to let in who asks at {}", self.path.display());
                    // why: the system does not tell when it has room again.
                    tokio::time::sleep(PAUSE).await;
                }
            }
            while guests.try_join_next().is_some() {}
        }
    }

    /// Whether a guest is the owner, or root, who may do everything anyway. It may have come in before the mode of the
    /// socket was set.
    fn may_ask(&self, guest: &UnixStream) -> bool {
        guest.peer_cred().is_ok_and(|guest| guest.uid() == self.owner || guest.uid() == 0)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // What is left behind hinders nobody.
        let _left = std::fs::remove_file(&self.path);
    }
}

/// Hears one guest, and answers.
async fn attend(guest: UnixStream, queue: Queue, store: Option<Store>) {
    let attended = timeout(ANSWER_WITHIN, async {
        let mut guest = BufReader::new(guest);
        let answer = match timeout(ASK_WITHIN, line(&mut guest, QUESTION_BYTES)).await {
            Ok(Some(question)) => answer(&question, &queue, store.as_ref()).await,
            Ok(None) => Answer::Failed("read the question: it is no line, or too long a one".to_owned()),
            Err(_) => Answer::Failed(format!("hear a question within {} s", ASK_WITHIN.as_secs())),
        };
        let mut text = serde_json::to_string(&answer).unwrap_or_default();
        text.push('\n');
        guest.get_mut().write_all(text.as_bytes()).await
    });
    match attended.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "who asked went away"),
        Err(_) => tracing::debug!("who asked was not answered in time"),
    }
}

async fn answer(question: &str, queue: &Queue, store: Option<&Store>) -> Answer {
    if let (Ok(Word::Look), Some(store)) = (serde_json::from_str(question), store) {
        store.look_at_the_gate();
        return Answer::Looked;
    }
    let asked: Asked = match serde_json::from_str(question) {
        Ok(asked) => asked,
        Err(error) => {
            return Answer::Failed(format!("understand the question: {error}; ask with the same version"));
        }
    };
    match letters::attend(queue, &asked).await {
        Ok(done) => {
            if matches!(asked, Asked::Replay(..) | Asked::Drop(..)) {
                tracing::info!(?asked, "a dead letter was attended to");
            }
            Answer::Done(done)
        }
        Err(error) => Answer::Failed(crate::fault::chain(&error)),
    }
}

/// Reads one line of at most so many bytes; nothing where it has no end, or is no text.
async fn line(stream: &mut BufReader<UnixStream>, most: u64) -> Option<String> {
    let mut line = String::new();
    stream.take(most).read_line(&mut line).await.ok()?;
    line.ends_with('\n').then_some(line)
}

/// Asks the windlass that runs with this data folder; returns nothing when none does.
///
/// # Errors
/// One runs, but does not let this user in, does not answer, or failed.
pub async fn ask(data: &Path, asked: &Asked) -> Result<Option<Done>, Error> {
    let question = serde_json::to_string(asked).map_err(Error::Odd)?;
    match say(data, question).await? {
        Some(Answer::Done(done)) => Ok(Some(done)),
        Some(Answer::Failed(why)) => Err(Error::Failed(why)),
        Some(Answer::Looked) => Err(Error::Unanswered),
        None => Ok(None),
    }
}

/// Tells the windlass that runs with this data folder to look at what keeps targets closed; returns whether one runs.
///
/// # Errors
/// As [`ask`].
pub async fn look(data: &Path) -> Result<bool, Error> {
    let word = serde_json::to_string(&Word::Look).map_err(Error::Odd)?;
    match say(data, word).await? {
        Some(Answer::Failed(why)) => Err(Error::Failed(why)),
        told => Ok(told.is_some()),
    }
}

/// Says one line and hears the answer; nothing where nobody listens.
async fn say(data: &Path, mut question: String) -> Result<Option<Answer>, Error> {
    let path = data.join(NAME);
    if path.as_os_str().as_bytes().len() > PATH_BYTES {
        // Nobody can listen there.
        return Ok(None);
    }
    let mut stream = match UnixStream::connect(&path).await {
        Ok(stream) => BufReader::new(stream),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(source) => return Err(Error::Reach { path, source }),
    };
    question.push('\n');
    let heard = timeout(ANSWER_WITHIN, async {
        stream.get_mut().write_all(question.as_bytes()).await.ok()?;
        line(&mut stream, ANSWER_BYTES).await
    });
    let answer = heard.await.ok().flatten().ok_or(Error::Unanswered)?;
    serde_json::from_str(&answer).map(Some).map_err(Error::Odd)
}
