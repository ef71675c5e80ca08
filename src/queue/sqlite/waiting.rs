//! The consumers that wait, lane by lane, first come first served.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use tokio::sync::mpsc;

use crate::queue::Error;
use crate::queue::Lane;
use crate::queue::Lease;
use crate::queue::WAITERS;
use crate::queue::sqlite::operation::Granted;
use crate::queue::sqlite::operation::Operation;
use crate::queue::sqlite::operation::Reply;

/// Who waits for messages, and in which lanes something may have become free for them.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    lanes: BTreeMap<Lane, VecDeque<Reply<Option<Granted>>>>,
    // Invariant: a lane with waiters that is not stirred has no message that may be delivered.
    stirred: BTreeSet<Lane>,
}

impl Waiting {
    /// Lets a consumer wait, or refuses it when there are too many.
    pub(super) fn join(&mut self, lane: Lane, reply: Reply<Option<Granted>>) {
        self.lanes.retain(|_, line| {
            line.retain(|reply| !reply.is_closed());
            !line.is_empty()
        });
        if self.lanes.values().map(VecDeque::len).sum::<usize>() >= WAITERS {
            drop(reply.send(Err(Error::Crowded)));
            return;
        }
        self.stirred.insert(lane.clone());
        self.lanes.entry(lane).or_default().push_back(reply);
    }

    /// Notes that something may have become free in `lane`.
    pub(super) fn stir(&mut self, lane: &Lane) {
        // Where nobody waits there is nothing to remember: who comes later looks for itself.
        if self.lanes.contains_key(lane) && !self.stirred.contains(lane) {
            self.stirred.insert(lane.clone());
        }
    }

    /// Returns the stirred lanes that somebody waits for, and how many do; the others are forgotten.
    pub(super) fn wanted(&mut self) -> Vec<(Lane, usize)> {
        let lanes = &mut self.lanes;
        let mut wanted = Vec::new();
        self.stirred.retain(|lane| {
            let Some(line) = lanes.get_mut(lane) else { return false };
            line.retain(|reply| !reply.is_closed());
            wanted.push((lane.clone(), line.len()));
            !line.is_empty()
        });
        wanted.retain(|(_, waiters)| *waiters > 0);
        wanted
    }

    /// Hands the leases out, which were taken durably for the `wanted` lanes; those lanes are at rest now.
    pub(super) fn grant(&mut self, leases: Vec<Lease>, back: &mpsc::WeakSender<Operation>) {
        self.stirred.clear();
        for lease in leases {
            let reply = self.lanes.get_mut(&lease.lane).and_then(VecDeque::pop_front);
            // Without a reply, or with one that nobody reads, the lease gives itself back.
            let granted = Granted::new(lease, back.clone());
            if let Some(reply) = reply {
                drop(reply.send(Ok(Some(granted))));
            }
        }
    }
}
