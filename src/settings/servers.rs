//! The sections of the servers that windlass can use instead of files of its own: the broker and the database.

use crate::role::Part;
use crate::role::Role;
use crate::secret::Secret;
use crate::settings::checks;
use crate::settings::reader::Environment;
use crate::settings::reader::Section;
use crate::settings::secrets;
use crate::store::Keep;

/// `[queue]`: where events and jobs wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// The broker; `None` for the embedded queue.
    pub url: Option<Secret>,
    /// The authority of its certificate, as PEM; `None` for those that the system trusts.
    pub ca: Option<String>,
}

/// `[store]`: where history is kept, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    /// The database; `None` for the embedded one.
    pub url: Option<Secret>,
    /// How much history is kept.
    pub keep: Keep,
}

/// Reads where the queue is. A process that is only a part of the line needs a broker to meet the others at.
pub fn queue(
    mut section: Section<'_>,
    environment: &Environment,
    part: &Part,
    warnings: &mut Vec<String>,
) -> Option<Queue> {
    let url = secrets::url(&mut section, "url", &["amqp://", "amqps://"], environment);
    let ca = secrets::authority(&mut section, "ca");
    if url == Some(None) && part.has_any(&Role::ALL) && !part.is_whole() {
        section.wrong(
            "url",
            "is missing: the parts of windlass meet at RabbitMQ; `windlass run` is all of them in one process",
        );
    }
    let url = url?;
    if url.as_ref().is_some_and(|url| checks::is_open(url.expose())) {
        warnings.push("queue.url: password and events travel in the open: use amqps".to_owned());
    }
    section.finish();
    Some(Queue { url, ca: ca? })
}

/// Reads where history is. What several processes work on cannot be in a file of one of them.
pub fn store(
    mut section: Section<'_>,
    environment: &Environment,
    part: &Part,
    queue: Option<&Queue>,
) -> Option<Store> {
    // Whoever keeps no history is given none to keep.
    let wanted = part.is_none() || part.has_any(&[Role::Dispatch, Role::Report]);
    let url = if wanted {
        secrets::url(&mut section, "url", &["postgres://", "postgresql://"], environment)
    } else {
        section.skip("url");
        Some(None)
    };
    if url == Some(None) && wanted && queue.is_some_and(|queue| queue.url.is_some()) {
        section.wrong("url", "is missing: whoever shares a queue at RabbitMQ shares history in Postgres");
    }
    let days = section.whole("keep_days", 1..=36_500);
    let commits = section.whole("keep_commits", 10..=10_000_000);
    let runs = section.whole("keep_runs", 1..=1_000_000);
    let deliveries = section.whole("keep_deliveries", 100..=100_000_000);
    section.finish();
    let keep = Keep {
        days: u32::try_from(days?).ok()?,
        commits: u32::try_from(commits?).ok()?,
        runs: u32::try_from(runs?).ok()?,
        deliveries: u32::try_from(deliveries?).ok()?,
    };
    Some(Store { url: url?, keep })
}
