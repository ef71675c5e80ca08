//! How many requests the stand-in takes, and what it says of that.

use crate::lab::message;
use crate::stand::Said;

/// How long does a count last, in seconds?
const WINDOW: i64 = 60;

/// How requests are counted. By default they are not.
#[derive(Default)]
pub struct Limits {
    /// How many a window takes.
    most: Option<usize>,
    counted: usize,
    /// Is the time that the counting ends said with a refusal?
    says_when: bool,
    /// How many more requests are refused by a limit of the application, of which no header tells?
    pub unannounced: usize,
    /// The time that is known here, in seconds since some start, and when the window began.
    now: i64,
    began: i64,
    /// How many requests were refused.
    pub refused: usize,
}

impl Limits {
    /// Takes so many requests a minute from now on; `says_when` with `Retry-After` beside a refusal.
    pub fn set(&mut self, most: usize, says_when: bool) {
        (self.most, self.says_when, self.counted, self.began) = (Some(most), says_when, 0, self.now);
    }

    /// Lets the time come that somebody takes it for, in milliseconds.
    pub fn at(&mut self, millis: i64) {
        self.now = millis / 1_000;
        if self.now >= self.began + WINDOW {
            (self.counted, self.began) = (0, self.now);
        }
    }

    /// Counts a request; returns the answer to one too many.
    pub fn count(&mut self) -> Option<Said> {
        if self.unannounced > 0 {
            self.unannounced -= 1;
            self.refused += 1;
            return Some(message(429, "This endpoint has been requested too many times. Try again later."));
        }
        let most = self.most?;
        if self.counted < most {
            self.counted += 1;
            return None;
        }
        self.refused += 1;
        let wait = self.says_when.then(|| self.left().to_string());
        let said = Said::new(429, "text/plain", b"Retry later\n".to_vec());
        Some(said.with("Retry-After", wait))
    }

    /// Returns the headers of every answer.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let Some(most) = self.most else { return Vec::new() };
        // The end of the window is told by the clock of the machine, as everybody reads it.
        let reset = windlass::clock::now().0 / 1_000 + self.left();
        vec![
            ("RateLimit-Name", "throttle_authenticated_api".to_owned()),
            ("RateLimit-Limit", most.to_string()),
            ("RateLimit-Observed", self.counted.to_string()),
            ("RateLimit-Remaining", (most - self.counted).to_string()),
            ("RateLimit-Reset", reset.to_string()),
        ]
    }

    /// Returns the seconds until the window ends.
    fn left(&self) -> i64 {
        (self.began + WINDOW - self.now).max(1)
    }
}
