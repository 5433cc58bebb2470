//! How one trip is locked, and those after it with it: in the order in which
//! uploads lock theirs, so that two hosts cannot wait for each other.

use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};

use super::StoreError;
use super::claims::Claim;
use super::open::{Engine, WritePool};
use super::previous_fuel::{LaterTrip, lock_with_later_trips};

/// How often a trip is looked for anew because it changed before it was locked.
const MOST_ATTEMPTS: usize = 4;

/// A trip's row, locked.
pub(super) struct LockedTrip {
    claim: Claim,
    pub(super) status: String,
}

impl LockedTrip {
    /// The claim of it for this owner.
    pub(super) fn claim(&self, owner: String) -> Claim {
        Claim { owner, ..self.claim.clone() }
    }
}

/// A transaction that has locked a trip and those after it.
pub(super) struct WithLaterTrips {
    pub(super) transaction: Transaction<'static, Any>,
    pub(super) trip: LockedTrip,
    /// Those that it may change.
    pub(super) later: Vec<LaterTrip>,
}

/// Finds a trip, and locks it against other hosts. Whoever locks others besides
/// must [begin](begin_with_later_trips) with all of them.
pub(super) async fn lock_trip(
    transaction: &mut Transaction<'static, Any>,
    engine: Engine,
    trip_id: &str,
) -> Result<Option<LockedTrip>, StoreError> {
    let lock = match engine {
        // It has one writer at a time.
        Engine::Sqlite => "",
        Engine::Postgres => "FOR UPDATE",
    };
    find(transaction, trip_id, lock).await
}

/// Begins a transaction with a trip and those after it that it may change:
/// found first, then locked all at once. `None` where there is no such trip.
pub(super) async fn begin_with_later_trips(
    writes: &WritePool,
    trip_id: &str,
) -> Result<Option<WithLaterTrips>, StoreError> {
    for _ in 0..MOST_ATTEMPTS {
        let mut transaction = writes.begin().await?;
        let Some(LockedTrip { claim, .. }) = find(&mut transaction, trip_id, "").await? else {
            return Ok(None);
        };
        let (engine, start_ms) = (writes.engine(), claim.start_time_ms);
        let later = lock_with_later_trips(&mut transaction, engine, &claim, start_ms).await?;
        if let Some(later) = later {
            // As it is now that nobody else can change it.
            let trip = lock_trip(&mut transaction, engine, trip_id).await?;
            return Ok(trip.map(|trip| WithLaterTrips { transaction, trip, later }));
        }
        transaction.rollback().await?;
    }
    Err(StoreError::Unavailable("a trip has changed whenever it was locked".to_owned()))
}

async fn find(
    transaction: &mut Transaction<'static, Any>,
    trip_id: &str,
    lock: &str,
) -> Result<Option<LockedTrip>, StoreError> {
    let text = format!(
        "SELECT trip_id, phone_id, vehicle_id, session_id, status, start_time_ms, last_received_ms, reading_count,
                closed_start_ms
         FROM trips WHERE trip_id = $1 {lock}"
    );
    let row = sqlx::query(AssertSqlSafe(text)).bind(trip_id).fetch_optional(&mut **transaction).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(LockedTrip { claim: Claim::first(&row, String::new())?, status: row.try_get("status")? }))
}
