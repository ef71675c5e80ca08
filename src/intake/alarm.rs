//! The alarm of a webhook whose deliveries are not signed with any of its secrets.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::application::Name;
use crate::moment::Moment;

/// Is 1 for the webhook of a `forge`, or of a `source` alone, while what claims to be its deliveries is not signed with any
/// of its secrets.
pub const ALARM: &str = "windlass_webhook_unsigned_alarm";

/// From how many unsigned deliveries in a row on does the alarm ring? Strangers send some at any time.
const RINGS_AFTER: u32 = 5;

/// How often may unsigned requests to one forge's webhook be logged? They are counted always.
const LOGGED_EVERY: Duration = Duration::from_secs(10);

/// What is known of the last deliveries of a forge.
#[derive(Debug, Default)]
pub struct Alarm {
    in_a_row: AtomicU32,
    logged: AtomicI64,
}

impl Alarm {
    /// Notes a delivery whose signature holds.
    pub fn signed(&self, forge: &Name, source: Option<&Name>) {
        if self.in_a_row.swap(0, Ordering::Relaxed) >= RINGS_AFTER {
            gauge(forge, source, 0.0);
            tracing::info!(forge = %forge, source = source.map(Name::as_str), "deliveries to the webhook are signed with one of its secrets again");
        }
    }

    /// Notes a request whose signature does not hold. `named` says that it names an event as the forge does, so that it is
    /// more than somebody's visit; that much can still be made up.
    pub fn unsigned(&self, forge: &Name, source: Option<&Name>, named: bool, now: Moment) {
        let before = if named { self.in_a_row.fetch_add(1, Ordering::Relaxed) } else { 0 };
        if before.saturating_add(1) == RINGS_AFTER {
            gauge(forge, source, 1.0);
            tracing::error!(
                forge = %forge,
                source = source.map(Name::as_str),
                "{RINGS_AFTER} deliveries in a row were not signed with any secret of this webhook: pushes are found by \
                 the sweep only. Give the forge and windlass the same secret; at GitLab check the time of this machine too"
            );
        } else {
            self.log(forge, source, now);
        }
    }

    /// Warns of unsigned requests, rarely: anybody can send them.
    fn log(&self, forge: &Name, source: Option<&Name>, now: Moment) {
        let last = self.logged.load(Ordering::Relaxed);
        let again = u128::from(now.since(Moment(last))) >= LOGGED_EVERY.as_millis();
        if again && self.logged.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::warn!(
                forge = %forge,
                source = source.map(Name::as_str),
                "a request to the webhook was not signed with any of its secrets; if the forge sent it, give both the same secret, and this machine the right time",
            );
        }
    }
}

fn gauge(forge: &Name, source: Option<&Name>, value: f64) {
    let source = source.map(Name::to_string).unwrap_or_default();
    metrics::gauge!(ALARM, "forge" => forge.to_string(), "source" => source).set(value);
}
