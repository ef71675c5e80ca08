//! The real program, run as its users run it: settings in a file, secrets in the environment, logs on standard error.

use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;

/// How long may the program take from its start to its first line about itself, and to `/readyz`?
const READY_WITHIN: Duration = Duration::from_secs(20);

/// How long between two looks at something that sends no word of its own?
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long between two looks whether a process that says nothing still lives?
const LOOK_FOR_END: Duration = Duration::from_millis(200);

/// A `windlass run` that was started. It is killed when this is dropped.
pub struct Process {
    child: Child,
    log: Arc<Log>,
    program: String,
    /// The door, such as `http://127.0.0.1:41234`.
    pub door: String,
}

/// What a process has said so far.
#[derive(Default)]
struct Log {
    lines: Mutex<Vec<Value>>,
    news: Notify,
}

impl Process {
    /// Starts `windlass run` with a settings file and these variables alone, and waits until it is ready. The settings
    /// must ask for logs as JSON; its address may end in port 0.
    pub async fn start(program: &Path, config: &Path, environment: &[(&str, &str)]) -> Self {
        Self::launch(&mut command(program, config, environment)).await
    }

    /// As [`Process::start`], from a command that was prepared, such as one with limits.
    pub async fn launch(command: &mut Command) -> Self {
        windlass::courier::prepare();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("windlass starts");
        let log = Arc::new(Log::default());
        let (stderr, kept) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                kept.lines.lock().unwrap().push(line);
                kept.news.notify_waiters();
            }
        });
        let program = command.get_program().display().to_string();
        let mut process = Self { child, log, program, door: String::new() };
        let runs = process.until(READY_WITHIN, |line| line["message"] == "windlass runs").await;
        let Some(runs) = runs else {
            panic!("{} did not start; it said:\n{}", process.program, process.said())
        };
        process.door = format!("http://{}", runs["listen"].as_str().unwrap());
        let ready = format!("{}/readyz", process.door);
        let client = reqwest::Client::builder().tls_certs_only(None).no_proxy().build().unwrap();
        let answers = async {
            while !client.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success()) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let in_time = tokio::time::timeout(READY_WITHIN, answers).await;
        in_time.unwrap_or_else(|_| panic!("windlass is not ready; it said:\n{}", process.said()));
        process
    }

    /// Returns the number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns whether one of its connections comes from that port of this machine.
    pub fn connects_from(&self, port: u16) -> bool {
        let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", self.pid())).unwrap_or_default();
        let end = format!(":{port:04X}");
        let inodes: Vec<String> = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|columns| columns.get(1).is_some_and(|local| local.ends_with(&end)))
            .filter_map(|columns| columns.get(9).map(|inode| format!("socket:[{inode}]")))
            .collect();
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).into_iter().flatten().flatten();
        let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        links.into_iter().any(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str()))
    }

    /// Returns whether it still runs.
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Returns all lines of its log so far, those that are no JSON as text.
    pub fn lines(&self) -> Vec<Value> {
        self.log.lines.lock().unwrap().clone()
    }

    /// Returns the end of its log, for people.
    pub fn said(&self) -> String {
        let lines = self.lines();
        let last = lines.iter().skip(lines.len().saturating_sub(40));
        last.map(|line| line.as_str().map_or_else(|| line.to_string(), str::to_owned) + "\n").collect()
    }

    /// Returns its log from the first line on.
    pub fn feed(&self) -> Feed {
        Feed { log: Arc::clone(&self.log), read: 0 }
    }

    /// Returns the first line of its log that is such, also one that was said before; `None` when none comes in time or
    /// the process has ended.
    pub async fn until(&mut self, within: Duration, such: impl Fn(&Value) -> bool) -> Option<Value> {
        let until = tokio::time::Instant::now() + within;
        let mut feed = self.feed();
        loop {
            let ended = self.child.try_wait().unwrap().is_some();
            // The end of the process is no line, so it is looked for now and then.
            let soon = until.min(tokio::time::Instant::now() + LOOK_FOR_END);
            while let Ok(line) = tokio::time::timeout_at(soon, feed.next()).await {
                if such(&line) {
                    return Some(line);
                }
            }
            if ended || tokio::time::Instant::now() >= until {
                return None;
            }
        }
    }

    /// Kills it as a power cut would, and returns when it is gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(sent.unwrap().success(), "kill -{name} {}", self.pid());
    }

    /// Waits for its end; `None` when it does not come in time.
    pub async fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let until = tokio::time::Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if tokio::time::Instant::now() >= until {
                return None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Returns how much memory it holds, in KiB.
    pub fn memory(&self) -> u64 {
        memory_of(self.pid(), "VmRSS:")
    }

    /// Returns the most memory that it ever held at once, in KiB.
    pub fn peak_memory(&self) -> u64 {
        peak_memory_of(self.pid())
    }
}

/// Returns the most memory that a process ever held at once, in KiB.
pub fn peak_memory_of(pid: u32) -> u64 {
    memory_of(pid, "VmHWM:")
}

fn memory_of(pid: u32, which: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The log of a process, line by line as it comes.
pub struct Feed {
    log: Arc<Log>,
    read: usize,
}

impl Feed {
    /// Waits for the next line. A call that is dropped takes none.
    pub async fn next(&mut self) -> Value {
        loop {
            let news = self.log.news.notified();
            let line = self.log.lines.lock().unwrap().get(self.read).cloned();
            if let Some(line) = line {
                self.read += 1;
                return line;
            }
            news.await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the command `windlass run` with a settings file, in an environment of these variables alone.
pub fn command(program: &Path, config: &Path, environment: &[(&str, &str)]) -> Command {
    part(program, "run", config, environment)
}

/// Returns the command for a part of the line, such as `serve`, in the same way.
pub fn part(program: &Path, part: &str, config: &Path, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command.arg(part).arg("--config").arg(config).env_clear().envs(environment.iter().copied());
    command
}

/// A folder with a settings file and room for the data.
pub struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    /// Writes the settings: `lists` after what every such run needs.
    pub fn new(lists: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        home.write(lists);
        home
    }

    /// Writes the settings anew.
    pub fn write(&self, lists: &str) {
        let base = "[data]\ndir = \"data\"\n[log]\nformat = \"json\"\n[door]\nlisten = \"127.0.0.1:0\"\n";
        std::fs::write(self.config(), format!("{base}{lists}")).unwrap();
    }

    /// Returns the settings file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("windlass.toml")
    }

    /// Returns the folder of the data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}
