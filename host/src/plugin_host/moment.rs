//! The one moment at which a call happens: its clocks and its random numbers.
//! No true time and no true randomness lives here.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use rand::TryRng;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// The time that a call sees, and its random numbers: both from `at_ms`.
#[derive(Default)]
pub(super) struct Moment {
    at_ms: AtomicI64,
    random: AtomicU64,
    looked_at: AtomicBool,
}

impl Moment {
    /// The next call is at `at_ms`: epoch milliseconds.
    pub(super) fn set(&self, at_ms: i64) {
        self.at_ms.store(at_ms, Ordering::Relaxed);
        self.random.store(at_ms.cast_unsigned(), Ordering::Relaxed);
        self.looked_at.store(false, Ordering::Relaxed);
    }

    /// Whether the call has asked for the time or for a random number: it may
    /// answer something else at another time.
    pub(super) fn was_looked_at(&self) -> bool {
        self.looked_at.load(Ordering::Relaxed)
    }

    fn since_epoch(&self) -> Duration {
        self.looked_at.store(true, Ordering::Relaxed);
        let at_ms = self.at_ms.load(Ordering::Relaxed);
        Duration::from_millis(u64::try_from(at_ms).unwrap_or(0))
    }
}

/// A clock that stands still during a call.
pub(super) struct FixedClock(pub(super) Arc<Moment>);

impl HostWallClock for FixedClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.0.since_epoch()
    }
}

impl HostMonotonicClock for FixedClock {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.since_epoch().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Numbers that look random and are the same for the same call (SplitMix64:
/// Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
pub(super) struct SeededRandom(pub(super) Arc<Moment>);

impl TryRng for SeededRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let word = self.try_next_u64()?;
        Ok((word >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        self.0.looked_at.store(true, Ordering::Relaxed);
        let state = self.0.random.fetch_add(STEP, Ordering::Relaxed);
        let mut word = state.wrapping_add(STEP);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(word ^ (word >> 31))
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        for chunk in target.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_moment_gives_the_same_numbers() {
        let moment = Arc::new(Moment::default());
        let mut random = SeededRandom(Arc::clone(&moment));
        let mut draw = |at_ms| {
            moment.set(at_ms);
            let mut bytes = [0; 19];
            let Ok(()) = random.try_fill_bytes(&mut bytes);
            bytes
        };
        let first = draw(1_700_000_000_000);
        assert_ne!(draw(1_700_000_000_001), first);
        assert_eq!(draw(1_700_000_000_000), first);
    }

    #[test]
    fn a_call_that_asked_for_the_time_or_for_chance_is_known() {
        let moment = Arc::new(Moment::default());
        let asked = |ask: &dyn Fn()| {
            moment.set(1);
            ask();
            moment.was_looked_at()
        };
        assert!(!asked(&|| {}));
        assert!(asked(&|| _ = HostWallClock::now(&FixedClock(Arc::clone(&moment)))));
        assert!(asked(&|| _ = HostMonotonicClock::now(&FixedClock(Arc::clone(&moment)))));
        assert!(asked(&|| _ = SeededRandom(Arc::clone(&moment)).try_next_u32()));
    }

    #[test]
    fn a_moment_before_1970_is_1970() {
        let moment = Moment::default();
        moment.set(-5);
        assert_eq!(moment.since_epoch(), Duration::ZERO);
    }
}
