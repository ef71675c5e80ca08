//! Room for the passes of one cluster: so many at once, and a cluster that is slow keeps no worker from the others.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio::time::timeout;

/// For how long does a job wait for room, and for how long may no pass have ended where one is to wait at all?
const PATIENCE: Duration = Duration::from_secs(1);

/// The passes of one cluster that may be under way at once in this process.
pub(super) struct Room {
    places: Arc<Semaphore>,
    /// When a pass last came in or went out.
    moved: Arc<Mutex<Instant>>,
    patience: Duration,
}

/// One pass's place, until it is dropped.
pub(super) struct Pass {
    // Given back once it is noted that somebody left.
    _place: OwnedSemaphorePermit,
    moved: Arc<Mutex<Instant>>,
}

impl Room {
    /// Makes room for so many passes; at least for one.
    pub(super) fn for_passes(passes: usize) -> Self {
        let places = Arc::new(Semaphore::new(passes.max(1)));
        Self { places, moved: Arc::new(Mutex::new(Instant::now())), patience: PATIENCE }
    }

    /// Returns a place, waiting a moment for one where passes come to an end now and then. Returns none where they do not:
    /// who waits there keeps its worker from the jobs of other clusters.
    pub(super) async fn enter(&self) -> Option<Pass> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) if last(&self.moved).elapsed() >= self.patience => return None,
            Err(_) => timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await.ok()?.ok()?,
        };
        note(&self.moved);
        Some(Pass { _place: place, moved: Arc::clone(&self.moved) })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        note(&self.moved);
    }
}

fn last(moved: &Mutex<Instant>) -> Instant {
    *moved.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(moved: &Mutex<Instant>) {
    *moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Room;

    #[tokio::test]
    async fn who_comes_to_a_full_room_waits_where_others_leave() {
        let room = Room { patience: Duration::from_hours(1), ..Room::for_passes(2) };
        let (first, second) = (room.enter().await, room.enter().await);
        assert!(first.is_some() && second.is_some());
        let (third, ()) = tokio::join!(room.enter(), async { drop(first) });
        assert!(third.is_some());
    }

    #[tokio::test]
    async fn who_comes_to_a_full_room_that_nobody_has_left_for_long_does_not_wait() {
        let room = Room { patience: Duration::ZERO, ..Room::for_passes(1) };
        let first = room.enter().await;
        assert!(room.enter().await.is_none());
        drop(first);
        assert!(room.enter().await.is_some());
    }

    #[tokio::test]
    async fn there_is_room_for_one_at_least() {
        assert!(Room::for_passes(0).enter().await.is_some());
    }
}
