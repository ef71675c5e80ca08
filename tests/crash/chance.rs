//! Chance that can be repeated.

/// Numbers by chance that a seed repeats.
pub struct Chance(u64);

impl Chance {
    /// Begins with `WINDLASS_SEED`, or with the time.
    pub fn by_seed() -> Self {
        let seed = std::env::var("WINDLASS_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| jiff::Timestamp::now().as_millisecond().unsigned_abs());
        eprintln!("WINDLASS_SEED={seed} repeats this run");
        Self(seed)
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        // A linear congruential generator (Knuth, MMIX); its upper bits are random enough.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}
