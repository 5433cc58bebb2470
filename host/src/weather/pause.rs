//! When asking pauses, so that a service that is unwell neither holds up the
//! trips that ended nor is asked in vain.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Pause after the first failure; it doubles with each further one.
const FIRST: Duration = Duration::from_secs(30);
/// The longest pause of our own.
const LONGEST: Duration = Duration::from_secs(600);
/// The longest pause that the service can ask for.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(3600);

/// Whether the service is asked at all.
#[derive(Debug, Default)]
pub(super) struct Pause(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Nobody is asked before.
    until: Option<Instant>,
    /// Failures in a row.
    failures: u32,
}

impl Pause {
    /// Whether nobody is asked at this time.
    pub(super) fn holds(&self, now: Instant) -> bool {
        !self.left(now).is_zero()
    }

    /// How long nobody is asked from this time on.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.state().until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// The service was unwell, or wants not to be asked for this long; says
    /// how long it is not.
    pub(super) fn begin(&self, now: Instant, asked_for: Option<Duration>) -> Duration {
        let mut state = self.state();
        let pause = (FIRST * 2_u32.pow(state.failures.min(8))).min(LONGEST);
        let pause = pause.max(asked_for.unwrap_or_default().min(LONGEST_ASKED_FOR));
        state.failures = state.failures.saturating_add(1);
        state.until = Some(now + pause);
        pause
    }

    /// The service answers.
    pub(super) fn end(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is whole: there is nothing that a panic could leave half-done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_minutes_and_end_with_an_answer() {
        let (pause, now) = (Pause::default(), Instant::now());
        assert!(!pause.holds(now));
        let seconds: Vec<_> = (0..7).map(|_| pause.begin(now, None).as_secs()).collect();
        assert_eq!(seconds, [30, 60, 120, 240, 480, 600, 600]);
        assert!(pause.holds(now + Duration::from_secs(599)));
        assert!(!pause.holds(now + Duration::from_secs(600)));
        assert_eq!(pause.left(now + Duration::from_secs(590)).as_secs(), 10);
        pause.end();
        assert!(!pause.holds(now));
        assert_eq!(pause.begin(now, None).as_secs(), 30);
    }

    #[test]
    fn the_service_can_ask_for_a_longer_pause_but_not_for_ever() {
        let (pause, now) = (Pause::default(), Instant::now());
        assert_eq!(pause.begin(now, Some(Duration::from_secs(1))).as_secs(), 30);
        assert_eq!(pause.begin(now, Some(Duration::from_secs(900))).as_secs(), 900);
        assert_eq!(pause.begin(now, Some(Duration::MAX)).as_secs(), 3600);
    }
}
