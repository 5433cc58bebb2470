//! Trips that run, as the events of their uploads tell of them: what the live
//! view shows, and with which upload charging started. Behind the answer, and
//! in memory only: a host knows what it received itself since its start.

mod charger;
mod running;
mod view;

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::running::Running;
pub use self::view::LiveTrip;
use crate::events::UploadDetails;
use crate::identity::TripId;
use crate::plugin_host::{Point, TripReadings};

/// Trips that are watched at most; further ones are not, until some end.
const MOST_TRIPS: usize = 10_000;
/// Ends that are remembered for listeners who have not heard of them yet.
const MOST_ENDED: usize = 1000;
/// How often those that ended unheard are looked for, while there is no room.
const SWEEP: Duration = Duration::from_secs(1);
/// How long a calculator that failed is left alone: its deadline is longer
/// than an event may take.
const PAUSE: Duration = Duration::from_secs(30);

/// Trips that run.
pub struct Live {
    trips: Mutex<Trips>,
    /// One asks for figures at a time.
    asking: tokio::sync::Mutex<()>,
    /// A trip that nothing was received for in this time runs no more.
    trip_timeout: Duration,
}

#[derive(Default)]
struct Trips {
    by_id: HashMap<TripId, Running>,
    /// Grows with each change of a trip.
    sequence: u64,
    ended: VecDeque<(u64, TripId)>,
    swept: Option<Instant>,
    paused_until: Option<Instant>,
}

/// Does a reading charge? To be asked of the calculator.
pub struct ChargerQuestion {
    trip_id: TripId,
    time_ms: i64,
    plugged_since_ms: i64,
    power_kw: Option<f64>,
    soc_percent: Option<f64>,
}

impl ChargerQuestion {
    /// The reading alone.
    pub fn reading(&self) -> TripReadings {
        let mut reading = TripReadings::at(vec![self.time_ms]);
        reading.set(0, "charger_status", 1.0);
        let known = [("charger_power_kw", self.power_kw), ("state_of_charge", self.soc_percent)];
        for (field, value) in known {
            if let Some(value) = value {
                reading.set(0, field, value);
            }
        }
        reading
    }
}

/// What is new to a listener.
pub struct News {
    /// Up to which change it has heard then.
    pub sequence: u64,
    /// Trips that changed.
    pub changed: Vec<TripId>,
    /// Trips that ended.
    pub ended: Vec<TripId>,
}

impl Live {
    /// Nothing runs yet.
    pub fn new(trip_timeout: Duration) -> Self {
        Self { trips: Mutex::default(), asking: tokio::sync::Mutex::default(), trip_timeout }
    }

    /// Takes notice of an upload that was stored as new. Comes back with a
    /// question where charging may have started with it. It is `now`.
    pub fn saw(&self, upload: &UploadDetails, opens_trip: bool, now: Instant) -> Option<ChargerQuestion> {
        let trip_id = upload.trip_id.as_ref()?;
        let trips = &mut *self.trips();
        trips.sequence += 1;
        let sequence = trips.sequence;
        let Some(time) = upload.reading_time else {
            // A profile, and the trip is another vehicle's now.
            if let Some(running) = trips.by_id.get_mut(trip_id) {
                running.belongs_to(upload.vehicle_id.as_ref(), sequence);
            }
            return None;
        };
        let time_ms = time.as_millisecond();
        let paused = trips.paused_until.is_some_and(|until| now < until);
        let running = match trips.by_id.get_mut(trip_id) {
            Some(running) => running,
            None => {
                if !trips.has_room(self.trip_timeout) {
                    return None;
                }
                trips.by_id.entry(trip_id.clone()).or_insert(Running::new(upload, opens_trip, now))
            }
        };
        running.belongs_to(upload.vehicle_id.as_ref(), sequence);
        running.see(upload, time_ms, now);
        let plugged_since_ms = running.charger.see(upload.charger_connected, time_ms)?;
        (!paused).then(|| ChargerQuestion {
            trip_id: trip_id.clone(),
            time_ms,
            plugged_since_ms,
            power_kw: upload.charger_power_kw,
            soc_percent: upload.state_of_charge,
        })
    }

    /// Takes the answer; whether charging started with that upload. Whether it
    /// had started already is not known of a trip whose beginning was not
    /// seen: then it has.
    pub fn judged(&self, question: &ChargerQuestion, charges: bool) -> bool {
        let mut trips = self.trips();
        let Some(running) = trips.by_id.get_mut(&question.trip_id) else { return false };
        running.charger.answer(question.time_ms, question.plugged_since_ms, charges)
    }

    /// Leaves the calculator alone for a while.
    pub fn pause(&self) {
        self.trips().paused_until = Some(Instant::now() + PAUSE);
    }

    /// A trip was closed.
    pub fn ended(&self, trip_id: &str) {
        let mut trips = self.trips();
        if let Some((trip_id, _)) = trips.by_id.remove_entry(trip_id) {
            trips.note_end(trip_id);
        }
    }

    /// What has changed since that change, of one vehicle or of all.
    pub fn news(&self, since: u64, vehicle_id: Option<&str>) -> News {
        let now = Instant::now();
        let trips = self.trips();
        let runs = |running: &Running| now.saturating_duration_since(running.seen) < self.trip_timeout;
        let mut changed: Vec<_> = trips
            .by_id
            .iter()
            .filter(|(_, running)| running.sequence > since && running.is_of(vehicle_id) && runs(running))
            .map(|(trip_id, running)| (running.sequence, trip_id.clone()))
            .collect();
        changed.sort_unstable();
        let ended = trips.ended.iter().filter(|(sequence, _)| *sequence > since);
        News {
            sequence: trips.sequence,
            changed: changed.into_iter().map(|(_, trip_id)| trip_id).collect(),
            ended: ended.map(|(_, trip_id)| trip_id.clone()).collect(),
        }
    }

    /// The trip that a vehicle is on: the one that was heard of last.
    pub fn trip_of(&self, vehicle_id: &str) -> Option<TripId> {
        self.news(0, Some(vehicle_id)).changed.pop()
    }

    fn trips(&self) -> MutexGuard<'_, Trips> {
        // What a panic left is at worst a trip that looks older than it is.
        self.trips.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trips {
    /// Whether there is room for one more.
    fn has_room(&mut self, trip_timeout: Duration) -> bool {
        if self.by_id.len() >= MOST_TRIPS {
            self.sweep(trip_timeout);
        }
        self.by_id.len() < MOST_TRIPS
    }

    fn sweep(&mut self, trip_timeout: Duration) {
        if self.swept.is_some_and(|swept| swept.elapsed() < SWEEP) {
            return;
        }
        self.swept = Some(Instant::now());
        self.by_id.retain(|_, running| running.seen.elapsed() < trip_timeout);
    }

    fn note_end(&mut self, trip_id: TripId) {
        self.sequence += 1;
        if self.ended.len() >= MOST_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back((self.sequence, trip_id));
    }
}

/// The first values that are known of each kind.
fn first_of(readings: &TripReadings) -> Point {
    let first = |name: &str| readings.columns.get(name)?.iter().copied().find(|value| value.is_finite());
    Point {
        odometer_miles: first("odometer_miles"),
        state_of_charge: first("state_of_charge"),
        fuel_level_percent: first("fuel_level_percent"),
        engine_rpm: first("engine_rpm"),
    }
}

#[cfg(test)]
mod tests;
