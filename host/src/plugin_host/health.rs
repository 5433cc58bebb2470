//! Failures in a row of the plugin in one slot. That it goes back to another
//! plugin is decided elsewhere; here somebody is woken for it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::error::{PluginError, SummarizeError};

/// A plugin that fails too often is asked so often whether it still does.
const AGAIN: Duration = Duration::from_secs(1);

/// A failure of a plugin, whatever it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It broke: E410 to E414.
    Plugin(PluginError),
    /// It says itself that it cannot calculate a trip.
    Calculation {
        /// The stage that failed.
        stage: String,
        /// What went wrong.
        message: String,
    },
}

impl From<&SummarizeError> for Trouble {
    fn from(error: &SummarizeError) -> Self {
        match error {
            SummarizeError::Failed { stage, message, .. } => {
                Self::Calculation { stage: stage.clone(), message: message.clone() }
            }
            SummarizeError::Plugin { error, .. } => Self::Plugin(error.clone()),
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plugin(error) => write!(f, "{error}"),
            Self::Calculation { stage, message } => write!(f, "failed in stage {stage}: {message}"),
        }
    }
}

/// Whether a plugin still does its work.
pub(super) struct Health {
    /// Failures in a row that are too many.
    limit: u32,
    in_a_row: AtomicU32,
    row: Mutex<Row>,
    /// Rung when there are too many.
    alarm: Arc<Notify>,
}

#[derive(Default)]
struct Row {
    last: Option<Trouble>,
    /// What failed: one trip that is tried again and again counts once.
    subjects: BTreeSet<String>,
    told: bool,
    /// When it was asked last, while it fails too often.
    asked: Option<Instant>,
}

impl Health {
    pub(super) fn new(limit: u32, alarm: Arc<Notify>) -> Self {
        Self { limit, in_a_row: AtomicU32::new(0), row: Mutex::default(), alarm }
    }

    /// A call ended well.
    pub(super) fn succeeded(&self) {
        // The usual case costs one load.
        if self.in_a_row.load(Ordering::Relaxed) > 0 {
            let mut row = self.row();
            self.in_a_row.store(0, Ordering::Relaxed);
            *row = Row::default();
        }
    }

    /// A call failed; with a subject, the same one counts once.
    pub(super) fn failed(&self, trouble: Trouble, subject: Option<&str>) {
        let mut row = self.row();
        row.last = Some(trouble);
        if subject.is_some_and(|subject| !row.subjects.insert(subject.to_owned())) {
            return;
        }
        if self.in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= self.limit {
            // Bounded: nobody counts further than to the limit.
            self.in_a_row.store(self.limit, Ordering::Relaxed);
            row.subjects.pop_first();
            row.asked.get_or_insert_with(Instant::now);
            self.alarm.notify_one();
        }
    }

    /// Failures in a row, up to the limit.
    pub(super) fn in_a_row(&self) -> u32 {
        self.in_a_row.load(Ordering::Relaxed)
    }

    /// Whether there are too many failures in a row.
    pub(super) fn is_failing(&self) -> bool {
        self.in_a_row() >= self.limit
    }

    /// The last failure, while there are too many in a row.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.row().last.clone().filter(|_| self.is_failing())
    }

    /// How it failed last, in place of a call that it is spared: what fails too
    /// often would take its whole deadline of each event that still waits.
    pub(super) fn spared(&self) -> Option<Trouble> {
        if !self.is_failing() {
            return None;
        }
        let mut row = self.row();
        if row.asked.is_some_and(|asked| asked.elapsed() >= AGAIN) {
            row.asked = Some(Instant::now());
            return None;
        }
        row.last.clone()
    }

    /// Whether this row of failures is told for the first time. It may have
    /// ended since somebody looked.
    pub(super) fn tell_once(&self) -> bool {
        let mut row = self.row();
        self.is_failing() && !std::mem::replace(&mut row.told, true)
    }

    fn row(&self) -> std::sync::MutexGuard<'_, Row> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(limit: u32) -> Health {
        Health::new(limit, Arc::default())
    }

    fn trouble(message: &str) -> Trouble {
        Trouble::Calculation { stage: "calculate_basics".into(), message: message.into() }
    }

    #[test]
    fn only_failures_in_a_row_are_too_many() {
        let health = health(3);
        for _ in 0..5 {
            health.failed(trouble("one"), None);
            health.failed(trouble("two"), None);
            health.succeeded();
        }
        assert!(!health.is_failing());
        for message in ["one", "two", "three", "four"] {
            health.failed(trouble(message), None);
        }
        assert_eq!(health.trouble(), Some(trouble("four")));
        assert_eq!(health.in_a_row(), 3);
        health.succeeded();
        assert_eq!(health.trouble(), None);
    }

    #[test]
    fn one_trip_that_fails_again_and_again_is_one_failure() {
        let health = health(2);
        for _ in 0..5 {
            health.failed(trouble("bad readings"), Some("trip 1"));
        }
        assert!(!health.is_failing());
        health.failed(trouble("bad readings"), Some("trip 2"));
        assert!(health.is_failing());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_too_often_is_asked_once_a_second_whether_it_still_does() {
        let health = health(2);
        health.failed(trouble("one"), None);
        assert_eq!(health.spared(), None);
        health.failed(trouble("two"), None);
        for _ in 0..3 {
            assert_eq!(health.spared(), Some(trouble("two")));
            tokio::time::advance(AGAIN).await;
            assert_eq!(health.spared(), None);
        }
        health.succeeded();
        assert_eq!(health.spared(), None);
    }

    #[test]
    fn a_row_is_told_once() {
        let health = health(1);
        health.failed(trouble("one"), None);
        assert!(health.tell_once() && !health.tell_once());
        health.succeeded();
        assert!(!health.tell_once(), "it has ended");
        health.failed(trouble("two"), None);
        assert!(health.tell_once());
    }

    #[tokio::test]
    async fn the_alarm_rings_when_there_are_too_many() {
        let health = health(1);
        let alarm = Arc::clone(&health.alarm);
        health.failed(trouble("one"), None);
        tokio::time::timeout(std::time::Duration::from_secs(5), alarm.notified()).await.expect("rung");
    }
}
