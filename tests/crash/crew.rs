//! The processes of a rig: `windlass run` alone, or `windlass serve` and several `windlass work` over RabbitMQ and
//! Postgres, as `WINDLASS_TEST_SHAPE` says.

use std::path::Path;
use std::process::Command;

use sqlx::ConnectOptions;
use sqlx::Connection;
use sqlx::PgConnection;
use sqlx::sqlite::SqliteConnectOptions;
use windlass::clock::now;
use windlass::commit::CommitId;
use windlass::commit::RefName;
use windlass::courier::Courier;
use windlass::event::Push;
use windlass::forge::Kind;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::queue::rabbit::Options;
use windlass::secret::Secret;

use crate::world::bed;
use crate::world::crew::Servers;
use crate::world::crew::depth;
use crate::world::process::Home;
use crate::world::process::Process;
use crate::world::process::part;
use crate::world::proxy::Held;
use crate::world::toxic::Toxic;
use crate::world::unique;
use crate::world::until;

/// The secret of the webhook.
pub const SECRET: &str = "the secret of a rig's webhook";

/// How many processes work, where there are several?
const WORKERS: usize = 3;

/// The processes, and where they keep what they remember.
pub struct Crew {
    pub home: Home,
    /// The door comes first.
    slots: Vec<Slot>,
    servers: Option<(Servers, Queue)>,
    /// Between the processes and what they meet at, where a test asked for it: before the broker and the database.
    lines: Option<[Toxic; 2]>,
    /// Posts deliveries.
    courier: Courier,
}

/// A process that stands still.
pub struct Frozen {
    pub pid: u32,
    /// Is it none with the door?
    pub is_worker: bool,
}

impl Frozen {
    /// Lets it go on.
    pub fn go_on(&self) {
        let sent = Command::new("kill").arg("-CONT").arg(self.pid.to_string()).status();
        assert!(sent.unwrap().success(), "kill -CONT {}", self.pid);
    }
}

/// A process that runs, or is to be started.
struct Slot {
    part: &'static str,
    process: Option<Process>,
}

impl Crew {
    /// Makes room for them, in the shape that is asked for; none runs yet.
    pub async fn new() -> Self {
        Self::over(Servers::where_asked().await).await
    }

    /// Makes room for several over servers, or for one alone without them; none runs yet.
    pub async fn over(servers: Option<Servers>) -> Self {
        let slot = |part| Slot { part, process: None };
        let Some(servers) = servers else {
            return Self {
                home: Home::new(""),
                slots: vec![slot("run")],
                servers: None,
                lines: None,
                courier: Courier::new().unwrap(),
            };
        };
        let [broker, _] = servers.urls();
        let options =
            Options { lanes: lanes().to_vec(), ..Options::new(Secret::new(&broker).unwrap(), "rig") };
        let queue = Queue::connect(options).await.unwrap();
        let slots = std::iter::once("serve").chain([const { "work" }; WORKERS]).map(slot).collect();
        Self {
            home: Home::new(""),
            slots,
            servers: Some((servers, queue)),
            lines: None,
            courier: Courier::new().unwrap(),
        }
    }

    /// Puts lines that can be cut between the processes and what they meet at; for those that are started from now on.
    pub async fn through_lines(&mut self) {
        let Some((servers, _)) = &self.servers else { return };
        let [broker, database] = servers.authorities();
        self.lines = Some([Toxic::before(&broker).await, Toxic::before(&database).await]);
    }

    /// Is there but one process, which keeps all that it remembers in its folder?
    pub fn is_alone(&self) -> bool {
        self.servers.is_none()
    }

    /// The lines to the broker and to the database, where there are any.
    pub fn lines(&self) -> Option<&[Toxic; 2]> {
        self.lines.as_ref()
    }

    /// One of those that work, as far as it runs; each number leads to one.
    pub fn worker(&mut self, number: usize) -> Option<&mut Process> {
        let first = usize::from(self.servers.is_some());
        let workers = self.slots.len() - first;
        let process = self.slots[first + number % workers].process.as_mut()?;
        process.lives().then_some(process)
    }

    /// Returns all that run.
    pub fn all(&mut self) -> impl Iterator<Item = &mut Process> {
        self.slots.iter_mut().filter_map(|slot| slot.process.as_mut())
    }

    /// Starts those that do not run, on what is remembered.
    pub async fn start(&mut self, installation: &str) {
        let over = self.lines.as_ref().map(|lines| lines.each_ref().map(|line| line.authority.as_str()));
        let urls = self.servers.as_ref().map(|(servers, _)| servers.urls_over(over));
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if slot.process.as_mut().is_some_and(Process::lives) {
                continue;
            }
            let mut command = command(&self.home, slot.part, installation);
            if let Some([broker, database]) = &urls {
                let data = self.home.data().join(number.to_string());
                command.env("WINDLASS__QUEUE__URL", broker).env("WINDLASS__STORE__URL", database);
                command.env("WINDLASS__DATA__DIR", data).env("WINDLASS__WORK__LISTEN", "127.0.0.1:0");
            }
            slot.process = Some(Process::launch(&mut command).await);
        }
    }

    /// Returns the process with the door, which runs.
    pub fn door(&mut self) -> &mut Process {
        self.slots[0].process.as_mut().expect("windlass runs")
    }

    /// Kills the process whose request is held, as a power cut would; all of them when nothing is.
    pub fn kill(&mut self, held: &Held) {
        let peer = held.peer();
        for slot in &mut self.slots {
            let hit = |process: &mut Process| peer.is_none_or(|port| process.connects_from(port));
            if let Some(mut process) = slot.process.take_if(hit) {
                process.kill();
            }
        }
    }

    /// Lets the process stand still whose request is held.
    pub fn freeze(&mut self, held: &Held) -> Frozen {
        let port = held.peer().expect("its request is held");
        let mut all = self.slots.iter().enumerate();
        let found = all.find_map(|(number, slot)| {
            Some((number, slot.process.as_ref()?)).filter(|(_, one)| one.connects_from(port))
        });
        let (number, process) = found.expect("somebody sent the request");
        process.signal("STOP");
        Frozen { pid: process.pid(), is_worker: number > 0 }
    }

    /// Kills the process with the door.
    pub fn kill_door(&mut self) {
        self.door().kill();
        self.slots[0].process = None;
    }

    /// Ends all of them.
    pub fn end(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.process = None);
    }

    /// Returns the end of all their logs, for people.
    pub fn said(&self) -> String {
        let said = |slot: &Slot| slot.process.as_ref().map(|one| format!("{}:\n{}", slot.part, one.said()));
        self.slots.iter().filter_map(said).collect()
    }

    /// Posts the delivery of a push to `main` and returns the status code of the answer; nothing where there is none.
    pub async fn deliver(
        &mut self,
        repository: &str,
        before: Option<&CommitId>,
        after: &CommitId,
    ) -> Option<u16> {
        let push = Push {
            repository: repository.to_owned(),
            reference: RefName::parse("refs/heads/main").unwrap(),
            before: before.cloned(),
            after: Some(after.clone()),
            forced: false,
        };
        let rules = Kind::Gitea.rules();
        let (event, body) = rules.make_up(&push);
        let headers = rules.sign(event, &unique(), body.as_bytes(), &Secret::new(SECRET).unwrap(), now());
        let url = format!("{}/hooks/gitea", self.door().door);
        self.courier.knock(&url, &headers, body).await.ok().map(|(status, _)| status)
    }

    /// Calls windlass with a command by which people steer it.
    pub fn order(&self, installation: &str, words: &[&str]) {
        let urls = self.servers.as_ref().map(|(servers, _)| servers.urls());
        let mut command = command(&self.home, words[0], installation);
        command.args(&words[1..]);
        if let Some([broker, database]) = &urls {
            command.env("WINDLASS__QUEUE__URL", broker).env("WINDLASS__STORE__URL", database);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Returns one number from the history.
    pub async fn history(&self, query: &'static str) -> i64 {
        match &self.servers {
            None => self.file("store.db", query).await.unwrap(),
            Some((servers, _)) => {
                let [_, database] = servers.urls();
                let mut connection = PgConnection::connect(&database).await.unwrap();
                sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
            }
        }
    }

    /// Returns one text from the history, where there is one.
    pub async fn text(&self, query: &'static str) -> Option<String> {
        match &self.servers {
            None => self.file("store.db", query).await,
            Some((servers, _)) => {
                let [_, database] = servers.urls();
                let mut connection = PgConnection::connect(&database).await.unwrap();
                sqlx::query_scalar(query).fetch_optional(&mut connection).await.unwrap()
            }
        }
    }

    /// Changes the database itself, where there is a server of it.
    pub async fn execute(&self, statements: &'static str) {
        let (servers, _) = self.servers.as_ref().expect("there are several processes");
        let [_, database] = servers.urls();
        let mut connection = PgConnection::connect(&database).await.unwrap();
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
    }

    /// Waits until the test itself reaches the broker and the database again.
    pub async fn reached(&self) {
        let Some((servers, queue)) = &self.servers else { return };
        let [_, database] = servers.urls();
        until("the broker and the database answer", async || {
            for lane in lanes() {
                queue.depth(&lane).await.ok()?;
            }
            PgConnection::connect(&database).await.ok().map(drop)
        })
        .await;
    }

    async fn file<T>(&self, file: &str, query: &'static str) -> Option<T>
    where
        T: for<'row> sqlx::Decode<'row, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + Send + Unpin,
    {
        let options = SqliteConnectOptions::new().filename(self.home.data().join(file)).read_only(true);
        let mut connection = options.connect().await.unwrap();
        sqlx::query_scalar(query).fetch_optional(&mut connection).await.unwrap()
    }

    /// Returns how many messages wait or are worked on, where the latter can be known, and how many are dead.
    pub async fn messages(&self) -> (i64, i64) {
        let Some((_, queue)) = &self.servers else {
            // Both at once: whoever waits for the end looks often.
            let query =
                "SELECT count(*) * 1000000 + coalesce(sum(state = 4), 0) FROM messages WHERE state <= 4";
            let both: i64 = self.file("queue.db", query).await.unwrap();
            let (all, dead) = (both / 1_000_000, both % 1_000_000);
            return (all - dead, dead);
        };
        let (mut left, mut dead) = (0, 0);
        for lane in lanes() {
            let depth = depth(queue, &lane).await;
            left += i64::try_from(depth.count).unwrap();
            dead += i64::try_from(depth.dead).unwrap();
        }
        (left, dead)
    }
}

/// Returns every lane of a rig.
fn lanes() -> [Lane; 5] {
    let shared = "shared";
    [Lane::events(), Lane::jobs(shared), Lane::watch(shared), Lane::reports(), Lane::reports_of(shared)]
}

/// A write beyond a limit on the size of files shall fail, and not end the program: so says a shell before it.
fn command(home: &Home, name: &str, installation: &str) -> Command {
    let environment = [
        ("SECRET", SECRET),
        ("TOKEN", bed("WINDLASS_BED_GITEA_BOT_TOKEN")),
        ("WINDLASS__DATA__INSTALLATION", installation),
        ("PATH", "/usr/bin:/bin"),
    ];
    let windlass = part(Path::new(env!("CARGO_BIN_EXE_windlass")), name, &home.config(), &environment);
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(windlass.get_program())
        .args(windlass.get_args());
    command.env_clear().envs(environment);
    command
}
