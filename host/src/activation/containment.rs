//! Plugins that fail again and again: back to the last good one, and where
//! there is none, a slot that says so. A shadow that does is withdrawn.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::requests::roll_back;
use super::{NotSwapped, Way, shadow, survive, telling};
use crate::app::App;
use crate::events::{Failure, Outcome};
use crate::plugin_host::{Slot, Trouble};

/// Between two attempts: what cannot be done now is tried again as long as the
/// plugin fails, but not for each of its failures.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause where there is nothing to go back to: each attempt tries
/// predecessors that are late on a busy machine, and tells so.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Since when a slot has nothing to go back to.
struct Hopeless {
    generation: u64,
    pause: Duration,
    until: Instant,
}

impl Hopeless {
    /// After one more attempt in vain to leave this generation.
    fn again(before: Option<Self>, generation: u64) -> Self {
        let before = before.filter(|before| before.generation == generation);
        let pause = before.map_or(PAUSE, |before| (before.pause * 2).min(LONGEST_PAUSE));
        Self { generation, pause, until: Instant::now() + pause }
    }
}

/// Rolls failing plugins back until the process stops.
pub(super) async fn run(app: &App) {
    let mut hopeless: BTreeMap<Slot, Hopeless> = BTreeMap::new();
    while app.until_stop(app.plugins.alarm()).await.is_some() {
        survive(app, Way::AutoRollback, contain_all(app, &mut hopeless)).await;
        app.until_stop(tokio::time::sleep(PAUSE)).await;
    }
}

async fn contain_all(app: &App, hopeless: &mut BTreeMap<Slot, Hopeless>) {
    let plugins = app.plugins.pin();
    for slot in Slot::ALL {
        let generation = plugins.identity(slot).generation;
        let rests = hopeless
            .get(&slot)
            .is_some_and(|rest| rest.generation == generation && Instant::now() < rest.until);
        if let Some(trouble) = plugins.trouble(slot).filter(|_| !rests)
            && !contain(app, slot, &trouble).await
        {
            let before = hopeless.remove(&slot);
            hopeless.insert(slot, Hopeless::again(before, generation));
        }
        shadow::withdraw(app, slot).await;
    }
}

/// Whether there is, or may be, something to go back to.
async fn contain(app: &App, slot: Slot, trouble: &Trouble) -> bool {
    let plugins = app.plugins.pin();
    let failing = plugins.identity(slot).clone();
    let failure = Failure::from(trouble);
    let result = roll_back(app, slot, &failing, Way::AutoRollback, Some(&failure)).await;
    match result {
        Ok(_) => true,
        Err(NotSwapped::Impossible(reason)) => {
            if plugins.tell_trouble_once(slot) {
                let told = Failure { message: reason, ..failure };
                telling::tell_no_way_back(app, slot, Way::AutoRollback, told, Outcome::Failure);
            }
            false
        }
        // The swap told it, and the next failure tries again.
        Err(error) => {
            tracing::warn!(%slot, %error, "a failing plugin cannot be rolled back now");
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_without_a_way_back_is_tried_less_and_less_often() {
        let mut hopeless = None;
        let mut pauses = Vec::new();
        for generation in [2, 2, 2, 2, 2, 2, 2, 2, 3] {
            let next = Hopeless::again(hopeless.take(), generation);
            pauses.push(next.pause.as_secs());
            hopeless = Some(next);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 1]);
    }
}
