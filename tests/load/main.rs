//! The door of a real windlass, a process of its own, under the load of strangers: ten thousand connections that are held
//! open, and bodies of fifty megabytes. Whoever signs is heard meanwhile, and memory stays where it was.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::sync::MutexGuard;
use tokio::time::Instant;
use windlass::clock::now;
use windlass::commit::CommitId;
use windlass::commit::RefName;
use windlass::event::Push;
use windlass::forge::Kind;
use windlass::secret::Secret;

mod bodies;
mod idle;
#[path = "../world/mod.rs"]
mod world;

use world::process::Home;
use world::process::Process;
use world::process::command;
use world::wire;
use world::wire::Wire;

/// The secret of the webhook.
const SECRET: &str = "the secret of a busy webhook";

/// How long may a delivery take that is signed, whatever strangers do? The most impatient forge, Gitea, waits for 5 s.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

/// A running windlass, whose forge takes connections and never answers: nothing is done but at the door.
struct Busy {
    process: Process,
    address: SocketAddr,
    _home: Home,
    _silent: TcpListener,
    _turn: MutexGuard<'static, ()>,
}

/// One at a time, since each measures.
static TURN: Mutex<()> = Mutex::const_new(());

impl Busy {
    /// Starts it with more lines of its section `[door]`, and so many descriptors.
    async fn start(lines: &str, descriptors: usize) -> Self {
        let turn = TURN.lock().await;
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let home = Home::new(&format!(
            "source_rate = 0\n{lines}\n[[forges]]\nname = \"gitea\"\nkind = \"gitea\"\nprivate = true\nurl = \"http://{}\"\n\
             webhook_secrets = [{{ env = \"SECRET\" }}]\n\
             [[sources]]\nname = \"shop\"\nforge = \"gitea\"\nrepository = \"team/shop\"\n",
            silent.local_addr().unwrap()
        ));
        let program = env!("CARGO_BIN_EXE_windlass");
        let windlass = command(program.as_ref(), &home.config(), &[("SECRET", SECRET)]);
        let mut limited = Command::new("prlimit");
        limited.arg(format!("--nofile={descriptors}")).arg(windlass.get_program()).args(windlass.get_args());
        let path = std::env::var("PATH").unwrap();
        limited.env_clear().env("SECRET", SECRET).env("PATH", path);
        let process = Process::launch(&mut limited).await;
        let address = process.door.trim_start_matches("http://").parse().unwrap();
        Self { process, address, _home: home, _silent: silent, _turn: turn }
    }

    /// Returns a number of KiB that Linux keeps of the process, such as `VmRSS`.
    fn kib(&self, name: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Forgets the most memory that it held so far.
    fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.process.pid()), "5").unwrap();
    }

    /// Sends so many signed deliveries one after the other, each over a connection of its own, all of which must be
    /// accepted in time; returns how long the slowest took.
    async fn deliver(&self, count: usize) -> Duration {
        let mut slowest = Duration::ZERO;
        for _ in 0..count {
            let begun = Instant::now();
            let mut wire = Wire::to(self.address).await.unwrap();
            wire.send(&delivery()).await;
            let reply = wire.reply().await.expect("an answer");
            assert_eq!(reply.status, 202, "{}", reply.body);
            slowest = slowest.max(begun.elapsed());
        }
        assert!(slowest < HEARD_WITHIN, "{slowest:?}");
        slowest
    }
}

/// Returns a signed delivery with an id of its own.
fn delivery() -> Vec<u8> {
    let push = Push {
        repository: "team/shop".to_owned(),
        reference: RefName::parse("refs/heads/main").unwrap(),
        before: None,
        after: Some(CommitId::parse(&"a".repeat(40)).unwrap()),
        forced: false,
    };
    let rules = Kind::Gitea.rules();
    let (event, body) = rules.make_up(&push);
    let secret = Secret::new(SECRET).unwrap();
    let headers = rules.sign(event, &world::unique(), body.as_bytes(), &secret, now());
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    wire::request("POST", "/hooks/gitea", &headers, body.as_bytes())
}
