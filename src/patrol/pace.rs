//! How soon what drifts again and again is corrected again.

use std::collections::HashMap;

use crate::drift::CALM_MS;
use crate::object::ObjectId;

/// How long does the second correction of an object wait, in milliseconds? Each one after that three times as long.
const FIRST_WAIT_MS: u64 = 2_000;

/// How long does one wait at most?
const LONGEST_WAIT_MS: u64 = 300_000;

/// How many objects are remembered? Past that all are forgotten, so that each is corrected at once again.
const OBJECTS: usize = 10_000;

/// The corrections of an application's objects since its last new commit.
#[derive(Debug, Default)]
pub struct Pace {
    objects: HashMap<ObjectId, (u32, u64)>,
}

impl Pace {
    /// Returns for how long the correction of an object that drifted at a time shall wait, both in milliseconds.
    pub fn wait_ms(&mut self, object: &ObjectId, now_ms: u64) -> u64 {
        if self.objects.len() >= OBJECTS {
            self.objects.clear();
        }
        let (times, due) = self.objects.entry(object.clone()).or_insert((0, now_ms));
        if now_ms.saturating_sub(*due) > CALM_MS {
            *times = 0;
        }
        // What drifts while its correction waits is corrected with it.
        if *due > now_ms {
            return due.saturating_sub(now_ms);
        }
        let wait = match *times {
            0 => 0,
            times => FIRST_WAIT_MS
                .saturating_mul(3_u64.saturating_pow(times.saturating_sub(1)))
                .min(LONGEST_WAIT_MS),
        };
        *times = times.saturating_add(1);
        *due = now_ms.saturating_add(wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use crate::object::ObjectId;

    fn object(name: &str) -> ObjectId {
        ObjectId { group: String::new(), kind: "ConfigMap".into(), namespace: None, name: name.into() }
    }

    #[test]
    fn what_drifts_again_and_again_waits_longer_and_longer() {
        let (mut pace, one) = (Pace::default(), object("one"));
        let mut now = 1_000;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let wait = pace.wait_ms(&one, now);
            waits.push(wait / 1_000);
            now += wait + 1;
        }
        assert_eq!(waits, [0, 2, 6, 18, 54, 162, 300, 300]);
        assert_eq!(pace.wait_ms(&object("other"), now), 0, "others do not wait for it");
        assert_eq!(pace.wait_ms(&one, now + 1_000_000), 0, "it was calm for long");
        let wait = pace.wait_ms(&one, now + 1_000_001);
        assert_eq!(wait, 2_000);
        assert_eq!(pace.wait_ms(&one, now + 1_000_501), 1_500, "the correction that waits is for this, too");
    }
}
