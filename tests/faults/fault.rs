//! What fails, and how it is made to.

use std::process::Command;

use crate::rig::Rig;
use crate::world::toxic::Toxic;

/// What controls the bed.
const BED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/bed");

/// What fails.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// A process of the bed, and the part that starts it again, is killed.
    Killed(&'static str),
    /// A process of the bed is stopped, and goes on.
    Frozen(&'static str),
    /// The database takes no more rows.
    Full,
    /// The line to the broker, 0, or to the database, 1, falls silent in one direction.
    Deaf(usize, &'static str),
    ForgeRefuses(u16),
    /// The forge says how many seconds to wait.
    ForgePutsOff(u16),
    ForgeSilent,
}

/// Each with its name, and for how many seconds it lasts by default and in earnest. Of those that end in silence, one for
/// each server lasts by default longer than windlass waits for an answer, or a sign of life.
pub const FAULTS: &[(&str, Fault, u64, u64)] = &[
    ("the broker is killed", Fault::Killed("rabbit"), 5, 15),
    ("the broker is frozen", Fault::Frozen("rabbit"), 22, 60),
    ("the way to the broker is cut", Fault::Deaf(0, "upstream"), 12, 60),
    ("the way back from the broker is cut", Fault::Deaf(0, "downstream"), 22, 60),
    ("the database is killed", Fault::Killed("postgres"), 5, 15),
    ("the database is full", Fault::Full, 6, 60),
    ("the way to the database is cut", Fault::Deaf(1, "upstream"), 32, 60),
    ("the way back from the database is cut", Fault::Deaf(1, "downstream"), 12, 60),
    ("the API server is frozen", Fault::Frozen("east"), 32, 60),
    ("the forge answers 500", Fault::ForgeRefuses(500), 5, 60),
    ("the forge answers 429 and says until when", Fault::ForgePutsOff(3), 5, 60),
    ("the forge answers 429", Fault::ForgeRefuses(429), 5, 60),
    ("the forge answers nothing", Fault::ForgeSilent, 12, 600),
];

/// Lets every table refuse rows as a full disk does.
const FILL: &str = "
    CREATE FUNCTION bed_is_full() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$;
    DO $$ DECLARE one record; BEGIN
      FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('CREATE TRIGGER bed_is_full BEFORE INSERT OR UPDATE ON %I EXECUTE FUNCTION bed_is_full()',
          one.tablename);
      END LOOP;
    END $$";

const EMPTY: &str = "DROP FUNCTION bed_is_full() CASCADE";

impl Fault {
    /// Lets it begin.
    pub async fn begin(self, rig: &Rig) {
        match self {
            Self::Killed(process) => bed_does(&["signal", "KILL", process]).await,
            Self::Frozen(process) => bed_does(&["signal", "STOP", process]).await,
            Self::Full => rig.crew.execute(FILL).await,
            Self::Deaf(which, stream) => line(rig, which).silence_one(stream).await,
            Self::ForgeRefuses(status) => rig.gitea.refuse(usize::MAX, status, |_| true),
            Self::ForgePutsOff(seconds) => rig.gitea.put_off(usize::MAX, seconds, |_| true),
            Self::ForgeSilent => rig.gitea.swallow(usize::MAX, |_| true),
        }
    }

    /// Mends it.
    pub async fn end(self, rig: &Rig) {
        match self {
            Self::Killed(part) => bed_does(&["up", part]).await,
            Self::Frozen(process) => bed_does(&["signal", "CONT", process]).await,
            Self::Full => rig.crew.execute(EMPTY).await,
            Self::Deaf(which, stream) => line(rig, which).speak_one(stream).await,
            Self::ForgeRefuses(_) | Self::ForgePutsOff(_) | Self::ForgeSilent => rig.gitea.heal(),
        }
    }
}

/// The line to the broker, 0, or to the database, 1.
fn line(rig: &Rig, which: usize) -> &Toxic {
    &rig.crew.lines().expect("there are several processes")[which]
}

/// Lets the bed do something with its servers.
pub async fn bed_does(words: &[&str]) {
    let mut command = Command::new(BED);
    command.args(words);
    let done = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(done.status.success(), "scripts/bed {words:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Makes the servers well again where a test ends in the middle of a fault, since other tests need them.
pub struct Nurse;

impl Drop for Nurse {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for words in [&["alarm", "off"][..], &["up", "rabbit", "postgres", "kube"]] {
            let done = Command::new(BED).args(words).stdout(std::process::Stdio::null()).status();
            eprintln!("scripts/bed {words:?} after the failure: {done:?}");
        }
    }
}
