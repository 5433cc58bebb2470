//! A collector of OpenTelemetry: events by the handful as log records, and
//! again until they are taken or refused. What a record says is `records`'
//! business, how one request ends `endpoint`'s.

mod attributes;
mod endpoint;
mod records;

#[cfg(test)]
pub(in crate::events) use records::all_names as renamed;

use std::time::Duration;

use anyhow::Context as _;

use self::endpoint::{Answer, Endpoint};
use super::{Consumer, on_a_thread};
use crate::config::OtlpConfig;

/// Bytes of events in a request: some 200 of them.
const REQUEST: usize = 512 << 10;
/// Events are not urgent: after each request some may gather.
const PAUSE: Duration = Duration::from_millis(500);
/// Before a request is made again; it doubles,
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// up to this. A collector may ask for longer,
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// but not for longer than this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Starts the sender. Must be called on the runtime.
///
/// # Errors
/// The settings are unfit.
pub(super) fn start(config: &OtlpConfig, consumer: Consumer) -> anyhow::Result<()> {
    let endpoint = Endpoint::new(config)?;
    // Records are made where that keeps nobody waiting.
    on_a_thread("events-otlp", || send_all(consumer, endpoint)).context("the event sender cannot be started")
}

/// Sends until closed.
async fn send_all(mut consumer: Consumer, endpoint: Endpoint) {
    let mut state = State::new(&endpoint);
    while let Some(events) = consumer.next(REQUEST).await {
        let bytes: usize = events.iter().map(|event| event.line().len()).sum();
        let pause = match endpoint.send(records::request(&events)).await {
            Answer::Taken { refused, why } => {
                let refused = refused.min(events.len());
                consumer.delivered(events.len() - refused);
                consumer.lost(refused);
                state.taken(refused, &why)
            }
            Answer::Refused { why } => {
                consumer.lost(events.len());
                state.refused(&why)
            }
            Answer::Unwell { why, retry_after } => state.unwell(&why, retry_after),
        };
        if pause > PAUSE || bytes < REQUEST / 2 {
            consumer.pause(pause).await;
        }
    }
}

/// How the collector has been lately, and what was said of it.
struct State<'a> {
    endpoint: &'a Endpoint,
    backoff: Duration,
    /// It was said, and not yet that it is over.
    is_in_trouble: bool,
}

impl<'a> State<'a> {
    fn new(endpoint: &'a Endpoint) -> Self {
        Self { endpoint, backoff: FIRST_BACKOFF, is_in_trouble: false }
    }

    /// It took all events but so many; how long to pause.
    fn taken(&mut self, refused: usize, why: &str) -> Duration {
        self.backoff = FIRST_BACKOFF;
        if refused > 0 {
            self.say(&format!("the collector refused {refused} events: {why}"));
        } else if std::mem::take(&mut self.is_in_trouble) {
            tracing::info!(endpoint = self.endpoint.shown(), "the collector takes events again");
        }
        PAUSE
    }

    fn refused(&mut self, why: &str) -> Duration {
        self.backoff = FIRST_BACKOFF;
        self.say(why);
        PAUSE
    }

    fn unwell(&mut self, why: &str, retry_after: Option<Duration>) -> Duration {
        self.say(why);
        let backoff = self.backoff;
        self.backoff = (backoff * 2).min(LONGEST_BACKOFF);
        backoff.max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER))
    }

    fn say(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_in_trouble, true) {
            tracing::warn!(endpoint = self.endpoint.shown(), why, "the collector does not take events");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_are_as_long_as_the_collector_asks() {
        let endpoint = Endpoint::to("http://127.0.0.1:4318/v1/logs");
        let mut state = State::new(&endpoint);
        let seconds: Vec<_> = (0..7).map(|_| state.unwell("503", None).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(state.unwell("429", Some(Duration::from_secs(90))).as_secs(), 90);
        assert_eq!(state.unwell("429", Some(Duration::from_secs(86_400))).as_secs(), 300);
        state.taken(0, "");
        assert_eq!(state.unwell("503", Some(Duration::ZERO)).as_secs(), 1);
    }
}
