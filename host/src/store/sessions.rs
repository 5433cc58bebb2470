//! What is kept of a session beside its readings, and which vehicle that says
//! it is in. What was sent last counts, in whatever order requests come, and
//! what it does not say stays.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};
use uuid::Uuid;

use super::open::Engine;
use super::record::{NamedCar, SessionFacts};
use super::trips::TripKey;
use super::{StoreError, cars, sql};
use crate::identity::{PhoneId, VehicleId};

/// By PID, or by parameter.
type Units = BTreeMap<String, String>;

/// The sessions of a batch that it teaches something about, or that begin.
#[derive(Default)]
pub(super) struct SessionsInBatch<'a>(BTreeMap<TripKey<'a>, SessionInBatch<'a>>);

struct SessionInBatch<'a> {
    facts: Vec<&'a SessionFacts>,
    received_ms: i64,
    /// The vehicle that it is in.
    vehicle: Option<VehicleId>,
}

impl<'a> SessionsInBatch<'a> {
    /// A session for which something was received.
    pub(super) fn add(&mut self, key: TripKey<'a>, received_ms: i64, facts: Option<&'a SessionFacts>) {
        let new = || SessionInBatch { facts: Vec::new(), received_ms, vehicle: None };
        let session = self.0.entry(key).or_insert_with(new);
        session.received_ms = session.received_ms.max(received_ms);
        session.facts.extend(facts);
    }

    /// The vehicle that a session is in, as far as is known now.
    pub(super) fn vehicle(&self, key: TripKey<'_>) -> VehicleId {
        let known = self.0.get(&key).and_then(|session| session.vehicle.clone());
        known.unwrap_or_else(|| key.0.own_vehicle())
    }

    /// Keeps what is taught, and learns which vehicles the sessions are in. All
    /// are locked before, in one order: a profile and the first reading of its
    /// session may come to two hosts at once, and one of them must see the other.
    pub(super) async fn keep(
        &mut self,
        transaction: &mut Transaction<'static, Any>,
        engine: Engine,
    ) -> Result<(), StoreError> {
        let mut all_known = lock(transaction, engine, &self.0).await?;
        let mut in_cars = Vec::with_capacity(self.0.len());
        for (key, session) in &mut self.0 {
            let mut known = all_known
                .remove(&(key.0.clone(), key.1))
                .ok_or_else(|| StoreError::Unexpected("a session is not there that was added".to_owned()))?;
            let mut car = None;
            for facts in &session.facts {
                known.learn(facts)?;
                car = facts.car.as_ref().filter(|car| known.is_in(car)).or(car);
            }
            if !session.facts.is_empty() {
                known.write(transaction, *key).await?;
            }
            let car = car.filter(|car| known.is_in(car));
            in_cars.push((key.0, known, car, &mut session.vehicle));
        }
        // In one order too: two hosts may add the same cars at once.
        in_cars.sort_by(|(a, car_a, ..), (b, car_b, ..)| {
            (a, &car_a.profile_name).cmp(&(b, &car_b.profile_name))
        });
        for (phone, known, car, vehicle) in in_cars {
            *vehicle = known.vehicle(transaction, phone, car).await?;
        }
        Ok(())
    }

    /// Sessions whose profile came behind the trip's first reading and says
    /// that it is in another car than was thought.
    pub(super) async fn in_another_car(
        &self,
        transaction: &mut Transaction<'static, Any>,
    ) -> Result<Vec<TripKey<'a>>, StoreError> {
        let mut found = Vec::new();
        for (key, session) in &self.0 {
            if session.facts.iter().all(|facts| facts.car.is_none()) {
                continue;
            }
            let trip: Option<String> =
                sqlx::query_scalar("SELECT vehicle_id FROM trips WHERE phone_id = $1 AND session_id = $2")
                    .bind(key.0.as_str())
                    .bind(key.1.to_string())
                    .fetch_optional(&mut **transaction)
                    .await?;
            if trip.is_some_and(|vehicle| vehicle != self.vehicle(*key).as_str()) {
                found.push(*key);
            }
        }
        Ok(found)
    }
}

/// Locks these sessions, those that are new too, and says what is known of them.
async fn lock(
    transaction: &mut Transaction<'static, Any>,
    engine: Engine,
    sessions: &BTreeMap<TripKey<'_>, SessionInBatch<'_>>,
) -> Result<HashMap<(PhoneId, Uuid), Known>, StoreError> {
    let sessions: Vec<_> = sessions.iter().collect();
    let mut known = HashMap::with_capacity(sessions.len());
    for part in sql::parts(&sessions) {
        let mut query = sqlx::query(AssertSqlSafe(lock_text(engine, part.len())));
        for ((phone, session), SessionInBatch { received_ms, .. }) in part {
            query = query.bind(phone.as_str()).bind(session.to_string()).bind(received_ms);
        }
        for row in query.fetch_all(&mut **transaction).await? {
            let session: &str = row.try_get("session_id")?;
            let session = session
                .parse()
                .map_err(|_| StoreError::Unexpected("a session is not the UUID that it was".to_owned()))?;
            known.insert((PhoneId::from_stored(row.try_get("phone_id")?), session), Known::from_row(&row)?);
        }
    }
    Ok(known)
}

pub(super) fn lock_text(engine: Engine, sessions: usize) -> String {
    // Setting what is there already makes RETURNING tell of it, and locks it.
    format!(
        "INSERT INTO sessions (phone_id, session_id, received_ms) VALUES {}
         ON CONFLICT (phone_id, session_id) DO UPDATE SET received_ms = excluded.received_ms
         RETURNING phone_id, session_id, profile_name, profile, profile_time_ms, default_units, unit_conflicts,
                   default_units_time_ms, user_units, user_units_time_ms",
        sql::rows(engine, sessions, 3)
    )
}

/// What is known of a session, and when that was sent.
struct Known {
    profile_name: Option<String>,
    profile: Option<String>,
    profile_time_ms: i64,
    default_units: Option<String>,
    unit_conflicts: Option<String>,
    default_units_time_ms: i64,
    user_units: Option<String>,
    user_units_time_ms: i64,
}

impl Known {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            profile_name: row.try_get("profile_name")?,
            profile: row.try_get("profile")?,
            profile_time_ms: row.try_get("profile_time_ms")?,
            default_units: row.try_get("default_units")?,
            unit_conflicts: row.try_get("unit_conflicts")?,
            default_units_time_ms: row.try_get("default_units_time_ms")?,
            user_units: row.try_get("user_units")?,
            user_units_time_ms: row.try_get("user_units_time_ms")?,
        })
    }

    /// Whether the session's profile is that of this car.
    fn is_in(&self, car: &NamedCar) -> bool {
        self.profile_name.as_ref() == Some(&car.profile_name)
    }

    /// The vehicle of its profile, if that has a name; `car` where a request
    /// has just told it. A name that was kept before phones had several cars
    /// may be of none.
    async fn vehicle(
        &self,
        transaction: &mut Transaction<'static, Any>,
        phone: &PhoneId,
        car: Option<&NamedCar>,
    ) -> Result<Option<VehicleId>, StoreError> {
        match (car, &self.profile_name) {
            (Some(car), _) => Ok(Some(cars::find_or_add(transaction, phone, car).await?)),
            (None, Some(profile_name)) => cars::find(transaction, phone, profile_name).await,
            (None, None) => Ok(None),
        }
    }

    async fn write(
        &self,
        transaction: &mut Transaction<'static, Any>,
        (phone, session): TripKey<'_>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE sessions SET profile_name = $1, profile = $2, profile_time_ms = $3, default_units = $4,
                    unit_conflicts = $5, default_units_time_ms = $6, user_units = $7, user_units_time_ms = $8
             WHERE phone_id = $9 AND session_id = $10",
        )
        .bind(&self.profile_name)
        .bind(&self.profile)
        .bind(self.profile_time_ms)
        .bind(&self.default_units)
        .bind(&self.unit_conflicts)
        .bind(self.default_units_time_ms)
        .bind(&self.user_units)
        .bind(self.user_units_time_ms)
        .bind(phone.as_str())
        .bind(session.to_string())
        .execute(&mut **transaction)
        .await?;
        Ok(())
    }

    fn learn(&mut self, facts: &SessionFacts) -> Result<(), StoreError> {
        if facts.car.is_some() || facts.profile.is_some() {
            let is_latest = latest(&mut self.profile_time_ms, facts.time_ms);
            let profile_name = facts.car.as_ref().map(|car| &car.profile_name);
            fill(&mut self.profile_name, profile_name, is_latest);
            fill(&mut self.profile, facts.profile.as_ref(), is_latest);
        }
        if let Some(sent) = &facts.user_units {
            let is_latest = latest(&mut self.user_units_time_ms, facts.time_ms);
            let (older, newer) = in_order(read(self.user_units.as_ref())?, read(Some(sent))?, is_latest);
            self.user_units = Some(write(&merged(older, newer))?);
        }
        if let Some(sent) = &facts.default_units {
            let is_latest = latest(&mut self.default_units_time_ms, facts.time_ms);
            let (known, sent): (Units, _) = (read(self.default_units.as_ref())?, read(Some(sent))?);
            let (older, newer) = in_order(known, sent, is_latest);
            let (known, sent) = (read(self.unit_conflicts.as_ref())?, read(facts.unit_conflicts.as_ref())?);
            let (mut conflicts, newer_conflicts): (Vec<String>, _) = in_order(known, sent, is_latest);
            // The newer units replace the older ones, and so their conflicts.
            conflicts.retain(|text| !newer.contains_key(text.split(':').next().unwrap_or_default()));
            conflicts.extend(newer_conflicts);
            self.unit_conflicts = Some(write(&conflicts)?);
            self.default_units = Some(write(&merged(older, newer))?);
        }
        Ok(())
    }
}

/// Whether what was sent then is later than all that is known; it is known then.
fn latest(known_ms: &mut i64, sent_ms: i64) -> bool {
    let is_latest = sent_ms >= *known_ms;
    *known_ms = sent_ms.max(*known_ms);
    is_latest
}

fn fill(known: &mut Option<String>, sent: Option<&String>, is_latest: bool) {
    if is_latest || known.is_none() {
        *known = sent.cloned().or(known.take());
    }
}

/// The older of two, and the newer.
fn in_order<T>(known: T, sent: T, sent_is_latest: bool) -> (T, T) {
    if sent_is_latest { (known, sent) } else { (sent, known) }
}

fn merged(mut older: Units, newer: Units) -> Units {
    older.extend(newer);
    older
}

fn read<T: DeserializeOwned + Default>(text: Option<&String>) -> Result<T, StoreError> {
    let value = text.map(|text| serde_json::from_str(text)).transpose();
    Ok(value
        .map_err(|error| StoreError::Unexpected(format!("units of a session: {error}")))?
        .unwrap_or_default())
}

fn write(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unexpected(error.to_string()))
}
