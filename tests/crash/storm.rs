//! A stream of pushes through several processes, while one thing after the other fails: processes are killed, frozen or
//! stopped; the lines to the broker and to the database are cut or fall silent; the API server and the forge do not
//! answer or refuse. Afterwards nothing is lost, and every accepted delivery has its one verdict.
//!
//! `WINDLASS_STORM` says for how many seconds it blows, and `scripts/bench soak` lets it blow for half an hour.

use std::time::Duration;

use tokio::time::Instant;
use tokio::time::sleep;

use crate::rig::Rig;
use crate::world::chance::Chance;
use crate::world::process::Process;
use crate::world::toxic::Toxic;

/// How many seconds does it blow where nobody says?
const SECONDS: u64 = 40;

/// How long between two faults, from the end of one?
const CALM: Duration = Duration::from_secs(5);

/// How long between two pushes?
const PUSH_EVERY: Duration = Duration::from_secs(1);

/// After which part of a long storm is memory measured first?
const WARM_AFTER: Duration = Duration::from_secs(300);

/// What fails, and for how many seconds.
#[derive(Clone, Copy, Debug)]
enum Fault {
    WorkerKilled,
    WorkerStopped,
    WorkerFrozen(u64),
    DoorKilled,
    BrokerCut(u64),
    BrokerSilent(u64),
    DatabaseCut(u64),
    DatabaseSilent(u64),
    ClusterSilent(u64),
    ClusterRefuses(u64),
    ForgeSilent(u64),
    ForgeRefuses(u64, u16),
}

const FAULTS: &[Fault] = &[
    Fault::WorkerKilled,
    Fault::WorkerStopped,
    // Longer than its lease, and than the broker waits for a sign of life.
    Fault::WorkerFrozen(35),
    Fault::DoorKilled,
    Fault::BrokerCut(5),
    Fault::BrokerSilent(25),
    Fault::DatabaseCut(5),
    Fault::DatabaseSilent(25),
    Fault::ClusterSilent(15),
    Fault::ClusterRefuses(5),
    Fault::ForgeSilent(15),
    Fault::ForgeRefuses(5, 500),
    Fault::ForgeRefuses(5, 429),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_in_a_storm() {
    let seconds = std::env::var("WINDLASS_STORM").ok().and_then(|seconds| seconds.parse().ok());
    let seconds = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let mut chance = Chance::by_seed();
    let mut rig = Rig::on_lines("[sweep]\npoll = \"10s\"\n").await;
    // One process alone has no lines that could fail.
    let faults: Vec<Fault> =
        FAULTS.iter().copied().filter(|fault| rig.crew.lines().is_some() || !fault.is_of_a_line()).collect();
    let (start, mut taken, mut refused, mut warm) = (Instant::now(), 0, 0, None);
    while start.elapsed() < seconds {
        let fault = faults[chance.below(faults.len())];
        eprintln!("{:>5} s: {fault:?}, pushes taken {taken}, refused {refused}", start.elapsed().as_secs());
        let which = chance.below(usize::MAX);
        let last = fault.begin(&mut rig, which).await;
        let until = Instant::now() + last;
        push_until(&mut rig, until, &mut taken, &mut refused).await;
        fault.end(&mut rig, which).await;
        push_until(&mut rig, Instant::now() + CALM, &mut taken, &mut refused).await;
        if start.elapsed() > WARM_AFTER && warm.is_none() {
            warm = Some(memory(&mut rig));
        }
    }
    // Who was told to stop last may have taken its time to.
    let tip = crate::world::until("the door takes a delivery", async || {
        rig.start().await;
        (rig.try_push().await == Some(202)).then_some(())
    });
    tip.await;
    rig.check().await;
    let now = memory(&mut rig);
    eprintln!(
        "pushes taken {taken}, refused {refused}, lost 0; memory in KiB after 5 min {warm:?}, now {now}"
    );
    rig.clear().await;
}

/// Pushes once a second; what the door does not take is not counted on, but the sweep may see it.
async fn push_until(rig: &mut Rig, until: Instant, taken: &mut usize, refused: &mut usize) {
    while Instant::now() < until {
        let next = Instant::now() + PUSH_EVERY;
        let answer = rig.try_push().await;
        if answer == Some(202) {
            *taken += 1
        } else {
            *refused += 1
        }
        tokio::time::sleep_until(next.min(until)).await;
    }
}

/// Returns how much memory all processes hold, in KiB.
fn memory(rig: &mut Rig) -> u64 {
    rig.crew.all().map(|process| process.memory()).sum()
}

impl Fault {
    fn is_of_a_line(self) -> bool {
        matches!(
            self,
            Self::BrokerCut(_) | Self::BrokerSilent(_) | Self::DatabaseCut(_) | Self::DatabaseSilent(_)
        )
    }

    /// Lets it happen; returns how long it lasts.
    async fn begin(self, rig: &mut Rig, which: usize) -> Duration {
        match self {
            Self::WorkerKilled => rig.crew.worker(which).into_iter().for_each(Process::kill),
            Self::WorkerStopped => signal(rig, which, "TERM"),
            Self::WorkerFrozen(_) => signal(rig, which, "STOP"),
            Self::DoorKilled => rig.kill_door(),
            Self::BrokerCut(_) => line(rig, 0).cut().await,
            Self::BrokerSilent(_) => line(rig, 0).silence().await,
            Self::DatabaseCut(_) => line(rig, 1).cut().await,
            Self::DatabaseSilent(_) => line(rig, 1).silence().await,
            Self::ClusterSilent(_) => rig.east.swallow(usize::MAX, |_| true),
            Self::ClusterRefuses(_) => rig.east.refuse(usize::MAX, 500, |_| true),
            Self::ForgeSilent(_) => rig.gitea.swallow(usize::MAX, |_| true),
            Self::ForgeRefuses(_, status) => rig.gitea.refuse(usize::MAX, status, |_| true),
        }
        Duration::from_secs(match self {
            Self::WorkerKilled | Self::WorkerStopped | Self::DoorKilled => 0,
            Self::WorkerFrozen(seconds)
            | Self::BrokerCut(seconds)
            | Self::BrokerSilent(seconds)
            | Self::DatabaseCut(seconds)
            | Self::DatabaseSilent(seconds)
            | Self::ClusterSilent(seconds)
            | Self::ClusterRefuses(seconds)
            | Self::ForgeSilent(seconds)
            | Self::ForgeRefuses(seconds, _) => seconds,
        })
    }

    /// Mends it.
    async fn end(self, rig: &mut Rig, which: usize) {
        match self {
            Self::WorkerKilled | Self::WorkerStopped | Self::DoorKilled => {}
            Self::WorkerFrozen(_) => signal(rig, which, "CONT"),
            Self::BrokerCut(_) => line(rig, 0).mend().await,
            Self::BrokerSilent(_) => line(rig, 0).speak().await,
            Self::DatabaseCut(_) => line(rig, 1).mend().await,
            Self::DatabaseSilent(_) => line(rig, 1).speak().await,
            Self::ClusterSilent(_) | Self::ClusterRefuses(_) => rig.east.heal(),
            Self::ForgeSilent(_) | Self::ForgeRefuses(..) => rig.gitea.heal(),
        }
        // why: a process that was told to stop has its time to.
        sleep(Duration::from_secs(1)).await;
        rig.start().await;
    }
}

/// The line to the broker, 0, or to the database, 1.
fn line(rig: &Rig, which: usize) -> &Toxic {
    &rig.crew.lines().expect("only then has it such faults")[which]
}

fn signal(rig: &mut Rig, which: usize, name: &str) {
    if let Some(worker) = rig.crew.worker(which) {
        worker.signal(name);
    }
}
