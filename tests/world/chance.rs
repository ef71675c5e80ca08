//! Chance that can be repeated.

/// Returns `WINDLASS_SEED`, or one by the time, and says which.
pub fn seed() -> u64 {
    let seed = std::env::var("WINDLASS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| jiff::Timestamp::now().as_millisecond().unsigned_abs());
    eprintln!("WINDLASS_SEED={seed} repeats this run");
    seed
}

/// Numbers by chance that a seed repeats.
pub struct Chance(u64);

impl Chance {
    /// Begins with `WINDLASS_SEED`, or with the time.
    pub fn by_seed() -> Self {
        Self(seed())
    }

    /// Begins with a seed of one's own; neighbours go quite different ways.
    pub fn of(seed: u64) -> Self {
        // The last step of SplitMix64 (Steele, Lea and Flood).
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(mixed ^ (mixed >> 31))
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        // A linear congruential generator (Knuth, MMIX); its upper bits are random enough.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    /// Returns another source of chance, that goes its own way from here.
    pub fn fork(&mut self) -> Self {
        Self(u64::try_from(self.below(usize::MAX >> 33)).unwrap())
    }

    /// Returns copies of these in an order by chance.
    pub fn shuffled<T: Clone>(&mut self, items: &[T]) -> Vec<T> {
        let mut items = items.to_vec();
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
        items
    }
}
