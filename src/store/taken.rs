//! Reports into the store, as many at once as wait.

use std::collections::BTreeMap;

use crate::application::Name;
use crate::commit::CommitId;
use crate::outcome::Phase;
use crate::outcome::Report;
use crate::outcome::Told;
use crate::store::Error;
use crate::store::Store;
use crate::store::record::take_in;
use crate::store::sql::Tx;
use crate::store::sql::query;
use crate::store::turn::Turn;
use crate::store::wanted;
use crate::trace::Trace;
use crate::trail;

/// A report with the step of the trace that it came from.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The id of its message.
    pub id: &'a str,
    /// The step that wrote it.
    pub trace: Option<Trace>,
    /// What it says.
    pub report: &'a Report,
}

impl Store {
    /// Takes in a report: history, the ledger's rows, the statuses that follow, and what dispatch remembers. The same
    /// report may come again, and reports may come in any order.
    ///
    /// # Errors
    /// The store cannot be written; then nothing of the report was taken in.
    pub async fn record(&self, report: &Report) -> Result<(), Error> {
        self.record_together(&turn(report), &[Entry { id: "", trace: trail::current(), report }]).await
    }

    /// Sorts reports by whose turn they take, by their places: those of one source can be taken in together.
    #[must_use]
    pub fn turns(entries: &[Entry<'_>]) -> Vec<Vec<usize>> {
        let mut turns: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (place, entry) in entries.iter().enumerate() {
            turns.entry(turn(entry.report).key()).or_default().push(place);
        }
        turns.into_values().collect()
    }

    /// Takes in reports that have one turn as [`Store::record`] does, all of them in one transaction, or none: each commit
    /// that they move is summed up once, and the disk is waited for once.
    ///
    /// # Errors
    /// As [`Store::record`].
    pub async fn record_all(&self, entries: &[Entry<'_>]) -> Result<(), Error> {
        match entries.first() {
            Some(first) => self.record_together(&turn(first.report), entries).await,
            None => Ok(()),
        }
    }

    /// Takes in reports that have one turn: all of them, or none.
    async fn record_together(&self, turn: &Turn<'_>, entries: &[Entry<'_>]) -> Result<(), Error> {
        let mut tx = self.begin(turn).await?;
        let mut moved: BTreeMap<(Name, CommitId), Option<Trace>> = BTreeMap::new();
        for Entry { id, trace, report } in entries {
            let span = |trace: &str| tracing::info_span!("report", trace.id = trace, report.id = id);
            let work = async {
                let touched = take_in(&mut tx, report).await?;
                let here = trail::current();
                moved.extend(touched.into_iter().map(|commit| (commit, here)));
                Ok::<_, Error>(())
            };
            match trace {
                Some(_) => trail::step(*trace, span, work).await?,
                None => work.await?,
            }
        }
        for ((source, commit), trace) in &moved {
            wanted::sum_up(&mut tx, source, commit, *trace).await?;
        }
        // A verdict may be what another target waits for.
        let news = entries.iter().any(|entry| may_be_healthy(entry.report));
        if news && holds_commits(&mut tx).await? {
            self.end(tx).await?;
        } else {
            tx.commit().await?;
        }
        self.announce();
        Ok(())
    }
}

fn may_be_healthy(report: &Report) -> bool {
    let healthy = |told: &Told| matches!(told, Told::Run(progress) if progress.phase == Phase::Healthy);
    healthy(&report.what) || matches!(report.what, Told::Covered { .. })
}

async fn holds_commits(tx: &mut Tx) -> Result<bool, Error> {
    let held = query("SELECT application FROM held WHERE commits = 1 LIMIT 1").row(tx).await?;
    Ok(held.is_some())
}

/// Returns whose turn a report takes.
fn turn(report: &Report) -> Turn<'_> {
    match &report.what {
        Told::Heard(heard) => Turn::Forge(&heard.forge),
        Told::Considered(considered) => Turn::Source(&considered.source),
        Told::Run(progress) => Turn::Source(&progress.source),
        Told::Drift(drift) => Turn::Source(&drift.source),
        Told::Rerun { source, .. }
        | Told::Roster { source, .. }
        | Told::Covered { source, .. }
        | Told::Superseded { source, .. }
        | Told::Waiting { source, .. }
        | Told::Held { source, .. }
        | Told::RolledBack { source, .. }
        | Told::Buried { source, .. } => Turn::Source(source),
    }
}
