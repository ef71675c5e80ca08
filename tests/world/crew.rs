//! The processes of one windlass: all of it in one, or a door and several workers that meet at RabbitMQ and Postgres.
//! Which of the two it is, the variable `WINDLASS_TEST_SHAPE` says: the same tests are run in both shapes.

use std::time::Duration;

use windlass::line::Line;
use windlass::queue::Depth;
use windlass::queue::Lane;
use windlass::queue::Lease;
use windlass::queue::Queue;
use windlass::queue::Settled;
use windlass::role::Part;
use windlass::role::Role;
use windlass::settings::Settings;
use windlass::store::Store;
use windlass::worker::Dispatch;
use windlass::worker::Report;

use super::broker::Ground;
use super::database::Database;

/// How many workers has a windlass of several processes?
const WORKERS: usize = 3;

/// How long does one worker look for work before the next one does?
const TURN: Duration = Duration::from_millis(20);

/// Within what time does the broker of the bed tell how many messages wait?
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// What a windlass of several processes meets at.
pub struct Servers {
    broker: Ground,
    database: Database,
}

impl Servers {
    /// Makes them where the shape asks for them.
    pub async fn where_asked() -> Option<Self> {
        match std::env::var("WINDLASS_TEST_SHAPE").as_deref() {
            Err(_) | Ok("one") => None,
            Ok("spread") => Some(Self::create().await),
            Ok(other) => panic!("WINDLASS_TEST_SHAPE is one or spread, and not {other}"),
        }
    }

    /// Makes them, whatever the shape.
    pub async fn create() -> Self {
        let (broker, database) = tokio::join!(Ground::new(), Database::create());
        Self { broker, database }
    }

    /// Returns where the broker is.
    pub fn broker(&self) -> &Ground {
        &self.broker
    }

    /// Returns the addresses of the broker and of the database.
    pub fn urls(&self) -> [String; 2] {
        self.urls_over(None)
    }

    /// Returns the same, over other ways to both.
    pub fn urls_over(&self, authorities: Option<[&str; 2]>) -> [String; 2] {
        let [broker, database] = authorities.map_or([None, None], |both| both.map(Some));
        [self.broker.url(broker), self.database.url_over(database)]
    }

    /// Returns where the broker and the database are.
    pub fn authorities(&self) -> [String; 2] {
        [self.broker.admin.authority().to_owned(), self.database.authority()]
    }
}

/// Returns the part of the line that each process is.
pub fn parts(spread: bool) -> Vec<Part> {
    if !spread {
        return vec![Part::whole()];
    }
    let work = Part::of([Role::Dispatch, Role::Reconcile, Role::Report], []);
    std::iter::once(Part::of([Role::Door], [])).chain(vec![work; WORKERS]).collect()
}

/// The processes.
pub struct Crew {
    lines: Vec<Line>,
}

impl Crew {
    /// Builds each by its settings.
    pub async fn build(settings: &[Settings]) -> Self {
        let lines = settings.iter().map(|settings| async { Line::build(settings).await.unwrap() });
        Self { lines: futures::future::join_all(lines).await }
    }

    /// The process that is the door.
    pub fn door(&self) -> &Line {
        &self.lines[0]
    }

    /// The processes that work.
    pub fn workers(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.roles.dispatch.is_some())
    }

    /// One of those that work.
    pub fn worker(&self) -> &Line {
        self.lines.last().unwrap()
    }

    /// How often in a row must all of them be idle? What waited for health may have had a job made, and what is on its way
    /// from the broker is nobody's for a moment.
    pub fn looks(&self) -> usize {
        if self.lines.len() == 1 { 2 } else { self.lines.len() }
    }

    /// Ends all of them where they stand, as a crash would.
    pub async fn close(&self) {
        for line in &self.lines {
            line.queue.clone().close().await;
            if let Some(store) = &line.store {
                store.clone().close().await;
            }
        }
    }

    /// Returns how many messages the processes have or see waiting in a lane; and how many are dead.
    pub async fn depth(&self, lane: &Lane) -> (u64, u64) {
        let mut workers = self.workers();
        let depth = depth(&workers.next().unwrap().queue, lane).await;
        let mut count = depth.count;
        for line in workers {
            count += line.queue.held(lane).await.unwrap();
        }
        (count, depth.dead)
    }

    /// Returns whether no process has a message of a lane, without asking the broker.
    pub async fn hold_none(&self, lane: &Lane) -> bool {
        for line in self.workers() {
            if line.queue.held(lane).await.unwrap() > 0 {
                return false;
            }
        }
        true
    }

    /// Returns whether no report waits anywhere.
    pub async fn has_no_reports(&self) -> bool {
        for lane in [Lane::reports(), Lane::reports_of("shared")] {
            if self.depth(&lane).await.0 > 0 {
                return false;
            }
        }
        true
    }

    /// Returns the next message of a lane, whichever process gets it.
    pub async fn next(&self, lane: &Lane, wait: Duration) -> Option<Lease> {
        self.first(wait, async |line, wait| line.queue.next(lane, wait).await.unwrap()).await
    }

    /// Says that a message is done, whichever process has it.
    pub async fn ack(&self, lease: &Lease) {
        self.settle(async |queue| queue.ack(lease).await.unwrap()).await;
    }

    /// Puts a message back, whichever process has it.
    pub async fn retry(&self, lease: &Lease, after: Duration) {
        self.settle(async |queue| queue.retry(lease, after).await.unwrap()).await;
    }

    /// Buries a message, whichever process has it.
    pub async fn bury(&self, lease: &Lease, why: &str) {
        self.settle(async |queue| queue.bury(lease, why).await.unwrap()).await;
    }

    async fn settle(&self, settle: impl AsyncFn(&Queue) -> Settled) {
        for line in self.workers() {
            if settle(&line.queue).await == Settled::Done {
                return;
            }
        }
        panic!("no process holds the message");
    }

    /// Returns the first thing that one of the workers finds, each looking in turn.
    pub async fn first<T>(
        &self,
        wait: Duration,
        look: impl AsyncFn(&Line, Duration) -> Option<T>,
    ) -> Option<T> {
        let alone = self.workers().count() == 1;
        let end = tokio::time::Instant::now() + wait;
        loop {
            for line in self.workers() {
                if let Some(found) = look(line, if alone { wait } else { TURN.min(wait) }).await {
                    return Some(found);
                }
            }
            if alone || tokio::time::Instant::now() >= end {
                return None;
            }
        }
    }
}

/// Returns the depth of a lane, once the broker can tell it: while one of the many replicated queues of a bed elects its
/// leader, the broker says that it is not there, and a busy one may not answer in time.
pub async fn depth(queue: &Queue, lane: &Lane) -> Depth {
    let end = tokio::time::Instant::now() + ANSWERS_WITHIN;
    loop {
        match queue.depth(lane).await {
            Ok(depth) => return depth,
            Err(error) => assert!(tokio::time::Instant::now() < end, "{error:?}"),
        }
        // why: the broker does not say when it has a leader.
        tokio::time::sleep(TURN).await;
    }
}

/// What a worker of a test has for sure.
pub trait Works {
    /// Its history.
    fn history(&self) -> &Store;
    /// Its dispatch.
    fn dispatch(&self) -> &Dispatch;
    /// Its report.
    fn report(&self) -> &Report;
}

impl Works for Line {
    fn history(&self) -> &Store {
        self.store.as_ref().expect("a worker")
    }

    fn dispatch(&self) -> &Dispatch {
        self.roles.dispatch.as_ref().expect("a worker")
    }

    fn report(&self) -> &Report {
        self.roles.report.as_ref().expect("a worker")
    }
}
