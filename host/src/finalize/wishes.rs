//! Trips that somebody wants to be calculated again. How a trip is brought to
//! its end is `finalize`'s own story.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{LEASE, WEATHER_OF_A_TRIP, end, unsuccessful};
use crate::app::App;
use crate::events::{Code, Failure, FinalizationDetails, Outcome};
use crate::store::NotRecalculated;

/// Somebody's wish to have a trip calculated again.
pub struct Wish {
    /// The trip.
    pub trip_id: String,
    /// The request that wishes it.
    pub request_id: Uuid,
    /// Where it learns what came of it.
    pub answer: oneshot::Sender<Result<(), Failure>>,
}

/// Recalculates trips that are wished for, one after the other, until `stop`
/// says so.
pub(super) async fn fulfil(app: Arc<App>, mut wishes: mpsc::Receiver<Wish>, mut stop: watch::Receiver<bool>) {
    loop {
        let wish = tokio::select! {
            biased;
            _ = stop.changed() => return,
            wish = wishes.recv() => wish,
        };
        let Some(wish) = wish else { return };
        let mut recalculation = JoinSet::new();
        recalculation.spawn(recalculate(app.clone(), wish));
        if let Some(Err(error)) = recalculation.join_next().await {
            tracing::error!(%error, "a recalculation ended badly; its claim runs out");
        }
    }
}

/// Calculates a trip again that is over, and tells about it.
async fn recalculate(app: Arc<App>, wish: Wish) {
    let Wish { trip_id, request_id, answer } = wish;
    let details =
        FinalizationDetails { trip_id: trip_id.clone(), asked_for: true, ..FinalizationDetails::default() };
    let mut event = app.events.open(app.plugins.pin(), details);
    event.parent_request_id = Some(request_id);
    let owner = app.events.instance_id().to_string();
    let lease_until_ms = event.began_ms() + i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX);
    let ended = match app.store.claim_for_recalculation(&trip_id, &owner, lease_until_ms).await {
        Ok(Ok(claim)) => end(&app, &claim, &mut event, Instant::now() + WEATHER_OF_A_TRIP).await,
        Ok(Err(why)) => Err(Failure::from(why)),
        Err(error) => Err(Failure::from(&error)),
    };
    let outcome = match ended.clone() {
        Ok(()) => Outcome::Success,
        Err(failure) => unsuccessful(failure),
    };
    event.finish(outcome);
    // Who wished it may be gone; the event says what came of it.
    answer.send(ended).ok();
}

impl From<NotRecalculated> for Failure {
    fn from(why: NotRecalculated) -> Self {
        match why {
            NotRecalculated::Unknown => Self::new(Code::E400, "there is no such trip"),
            NotRecalculated::Open => {
                Self::new(Code::E403, "the trip is still open: it is calculated when it ends")
            }
            NotRecalculated::ReadingsGone => {
                Self::new(Code::E402, "the trip's readings are not all there any more")
            }
        }
    }
}
