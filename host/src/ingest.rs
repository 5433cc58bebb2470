//! The story of an upload, from its bytes to its place in the store: decode →
//! store → context. What the answer looks like is `http`'s business.

use std::time::Instant;

use serde::Serialize;

use crate::app::App;
use crate::events::{
    Business, Code, Failure, Technical, Timing, UploadDetails, VehicleContext, WideEvent, cut_coordinate,
};
use crate::identity::{PhoneId, VehicleId};
use crate::rate_limit::TooOften;
use crate::store::{NamedCar, Put, QuarantinedRequest, ReadingRow, Record, SessionFacts, StoreError, Stored};
use crate::torque::{
    self, Content, Header, Hiding, Known, Reading, Refusal, RefusalCode, Shapes, UnitConflict, Upload,
    UploadKind,
};

/// The longest text that quarantine keeps of a request: bytes.
const LARGEST_QUARANTINED: usize = 64 * 1024;

/// What became of an upload.
#[derive(Debug)]
pub enum Received {
    /// Kept for good.
    Kept,
    /// It can never be stored as telemetry, and is kept in quarantine.
    Quarantined(Failure),
    /// Not kept: the phone is to send it again.
    NotKept(Failure),
    /// Not kept: the phone is to send it again, more slowly.
    TooOften(TooOften),
}

/// An upload as it came: the raw query and the form body, one may be empty.
pub struct RawUpload<'a> {
    /// The query, without its question mark.
    pub query: &'a [u8],
    /// The body.
    pub body: &'a [u8],
}

/// Receives one upload: returns when what is kept of it is durable. Its event
/// knows by now what the query says of who sent it.
pub async fn receive(app: &App, event: &mut WideEvent<UploadDetails>, raw: RawUpload<'_>) -> Received {
    let received_ms = event.began_ms();
    let started = Instant::now();
    let decoded = torque::decode(app.catalogue, raw.query, raw.body, received_ms);
    event.timings.add_since(Timing::PARSE_TELEMETRY, started);
    event.known.add_form(raw.body);
    match decoded {
        Ok(mut upload) => {
            upload.redact(&hiding(app, &event.known));
            store_upload(app, event, upload, &raw).await
        }
        Err(mut refusal) => {
            refusal.redact(&hiding(app, &event.known));
            refuse(app, event, &refusal, &raw).await
        }
    }
}

/// Hides who sent a request, and tokens, in what is kept and told of it.
fn hiding<'a>(app: &'a App, known: &'a Known) -> Hiding<'a, impl Fn(&str) -> String> {
    Hiding { known, shapes: Shapes::All, replace: |identity: &str| app.key.pseudonym(identity) }
}

async fn store_upload(
    app: &App,
    event: &mut WideEvent<UploadDetails>,
    upload: Upload,
    raw: &RawUpload<'_>,
) -> Received {
    let phone = app.key.phone(upload.identity.key());
    describe_header(event, &upload.header, Some(upload.kind()));
    recognize(app, event, &phone);
    event.details.session_id = Some(upload.session_id);
    event.trace_id = Some(upload.session_id);
    if let Err(too_often) = app.rate_limits.admit_phone(&phone) {
        return Received::TooOften(too_often);
    }
    let received_ms = event.began_ms();
    let facts = SessionFacts {
        phone: phone.clone(),
        session: upload.session_id,
        received_ms,
        time_ms: upload.time_ms.unwrap_or(received_ms),
        car: None,
        profile: None,
        default_units: None,
        unit_conflicts: None,
        user_units: None,
    };
    let record = match upload.content {
        Content::Reading(reading) => {
            describe_reading(event, &reading, received_ms);
            Record::Reading(row(app, &phone, upload.session_id, received_ms, &reading))
        }
        Content::Profile(profile) => {
            event.details.profile_name.clone_from(&profile.name);
            let car = profile.name.map(|profile_name| NamedCar {
                further_vehicle: app.key.further_vehicle(&phone, &profile_name),
                profile_name,
            });
            Record::Session(SessionFacts { car, profile: json(&profile.values), ..facts })
        }
        Content::DefaultUnits { units, conflicts } => {
            let conflicts: Vec<_> = conflicts.iter().map(unit_conflict).collect();
            event.details.unit_conflicts =
                (!conflicts.is_empty()).then(|| conflicts.iter().take(20).cloned().collect());
            Record::Session(SessionFacts {
                default_units: json(&units),
                unit_conflicts: json(&conflicts),
                ..facts
            })
        }
        Content::UserUnits(units) => Record::Session(SessionFacts { user_units: json(&units), ..facts }),
        Content::Notice { text, .. } => {
            event.details.notice = Some(text);
            return Received::Kept;
        }
    };
    match app.store.put(record).await {
        Ok(put) => kept(app, event, put, phone, raw).await,
        // Sent again, it would be refused again.
        Err(error @ StoreError::Constraint(_)) => {
            quarantine(app, event, Failure::from(&error), Some(phone), Some(upload.session_id), raw).await
        }
        Err(error) => not_kept(event, &error),
    }
}

/// A reading as it is put into the store.
pub(crate) fn row(
    app: &App,
    phone: &PhoneId,
    session: uuid::Uuid,
    received_ms: i64,
    reading: &Reading,
) -> ReadingRow {
    ReadingRow {
        phone: phone.clone(),
        session,
        time_ms: reading.time_ms,
        received_ms,
        fields: app.store.layout().pack(&reading.fields),
        unknown: reading.unknown_to_json(),
    }
}

/// Adds what the store found out.
async fn kept(
    app: &App,
    event: &mut WideEvent<UploadDetails>,
    put: Put,
    phone: PhoneId,
    raw: &RawUpload<'_>,
) -> Received {
    describe_put(event, &put);
    let started = Instant::now();
    match put.stored {
        Stored::Reading {
            trip_id,
            vehicle_id,
            trip_created,
            trip_reopened,
            duplicate,
            conflicting,
            vehicle: stats,
        } => {
            event.details.trip_id = Some(trip_id);
            name_vehicle(event, &vehicle_id);
            event.business.set(Business::TRIP_CREATED, trip_created);
            event.business.set(Business::TRIP_REOPENED, trip_reopened);
            event.business.set(Business::DUPLICATE_READING, duplicate);
            event.business.set(Business::CONFLICTING_READING, conflicting);
            let known = event.vehicle.as_ref().and_then(|known| known.stats);
            if known != Some(stats) {
                app.known_vehicles.insert(vehicle_id, stats);
            }
            event.vehicle = Some(VehicleContext { stats: Some(stats), ..VehicleContext::default() });
            event.timings.add(Timing::CONTEXT_ENRICHMENT, put.vehicle_ms);
            event.timings.add_since(Timing::CONTEXT_ENRICHMENT, started);
            Received::Kept
        }
        Stored::TooLate { trip_id, vehicle_id } => {
            event.details.trip_id = Some(trip_id);
            name_vehicle(event, &vehicle_id);
            let message = "the reading's trip was closed longer ago than LATE_READING_DAYS";
            let session = event.details.session_id;
            quarantine(app, event, Failure::new(Code::E401, message), Some(phone), session, raw).await
        }
        Stored::Session { vehicle_id, moved_trip } => {
            event.details.trip_id = moved_trip;
            name_vehicle(event, &vehicle_id);
            Received::Kept
        }
        Stored::Kept => Received::Kept,
    }
}

/// What can never be stored is kept in quarantine: the phone would send it
/// for ever otherwise.
async fn refuse(
    app: &App,
    event: &mut WideEvent<UploadDetails>,
    refusal: &Refusal,
    raw: &RawUpload<'_>,
) -> Received {
    describe_header(event, &refusal.header, refusal.kind);
    let phone = refusal.identity.as_ref().map(|identity| app.key.phone(identity.key()));
    if let Some(phone) = &phone {
        recognize(app, event, phone);
    }
    event.details.session_id = refusal.session_id;
    event.trace_id = refusal.session_id;
    if let Some(Err(too_often)) = phone.as_ref().map(|phone| app.rate_limits.admit_phone(phone)) {
        return Received::TooOften(too_often);
    }
    let failure = Failure::new(refusal.code.into(), refusal.message);
    quarantine(app, event, failure, phone, refusal.session_id, raw).await
}

async fn quarantine(
    app: &App,
    event: &mut WideEvent<UploadDetails>,
    failure: Failure,
    phone: Option<PhoneId>,
    session: Option<uuid::Uuid>,
    raw: &RawUpload<'_>,
) -> Received {
    let joined = [raw.query, raw.body].join(&b'&');
    let mut text = torque::redact(&joined, &hiding(app, &event.known));
    text.truncate(text.floor_char_boundary(LARGEST_QUARANTINED));
    let request = QuarantinedRequest {
        received_ms: event.began_ms(),
        code: failure.code.as_str(),
        reason: failure.message.clone(),
        phone,
        session,
        request: text,
    };
    match app.store.put(Record::Quarantine(request)).await {
        Ok(put) => {
            describe_put(event, &put);
            Received::Quarantined(failure)
        }
        Err(error) => not_kept(event, &error),
    }
}

/// What is known of the vehicle may be outdated: the store does not say.
fn not_kept(event: &mut WideEvent<UploadDetails>, error: &StoreError) -> Received {
    if let Some(vehicle) = &mut event.vehicle {
        vehicle.stale = true;
    }
    Received::NotKept(Failure::from(error))
}

/// Names the phone's own vehicle, with its last known figures, until the store
/// says which vehicle it is: also what fails says whose it was.
fn recognize(app: &App, event: &mut WideEvent<UploadDetails>, phone: &PhoneId) {
    let vehicle = phone.own_vehicle();
    if let Some(stats) = app.known_vehicles.get(&vehicle) {
        event.vehicle = Some(VehicleContext { stats: Some(stats), ..VehicleContext::default() });
    }
    event.details.vehicle_id = Some(vehicle);
}

/// Names the vehicle that the store knows; with what is known of its figures
/// only where that is known of this vehicle.
fn name_vehicle(event: &mut WideEvent<UploadDetails>, vehicle: &VehicleId) {
    if event.details.vehicle_id.as_ref() != Some(vehicle) {
        event.details.vehicle_id = Some(vehicle.clone());
        event.vehicle = None;
    }
}

pub(crate) fn describe_header(
    event: &mut WideEvent<UploadDetails>,
    header: &Header,
    kind: Option<UploadKind>,
) {
    let details = &mut event.details;
    details.upload_kind = kind.map(UploadKind::as_str);
    details.app_version.clone_from(&header.app_version);
    details.raw_params_count = Some(header.raw_params_count);
    details.unknown_params_count = Some(header.unknown_params_count);
    details.dropped_values_count = Some(header.dropped_values_count);
    if header.ignored_params_count > 0 {
        event.technical.set(Technical::IGNORED_PARAMS_COUNT, header.ignored_params_count);
    }
}

pub(crate) fn describe_reading(event: &mut WideEvent<UploadDetails>, reading: &Reading, received_ms: i64) {
    if reading.position_dropped {
        event.note(Failure::new(Code::E302, "the position is impossible: it was dropped, the reading kept"));
    }
    let details = &mut event.details;
    details.reading_time = jiff::Timestamp::from_millisecond(reading.time_ms).ok();
    details.reading_lag_ms = Some(received_ms - reading.time_ms);
    details.fields_count = u32::try_from(reading.fields.len()).ok();
    let charger_power_w;
    let charger_status;
    let engine_running;
    let latitude;
    let longitude;
    [
        details.ambient_temp_f,
        details.battery_temp_f,
        details.battery_voltage,
        details.charger_power_kw,
        charger_power_w,
        charger_status,
        details.coolant_temp_f,
        details.engine_rpm,
        engine_running,
        details.fuel_level_percent,
        details.fuel_remaining_gallons,
        details.hv_battery_power_kw,
        details.hv_battery_voltage_v,
        latitude,
        longitude,
        details.odometer_miles,
        details.speed_mph,
        details.state_of_charge,
        details.trip_distance_miles,
    ] = reading.pick([
        "ambient_temp_f",
        "battery_temp_f",
        "battery_voltage",
        "charger_power_kw",
        "charger_power_w",
        "charger_status",
        "coolant_temp_f",
        "engine_rpm",
        "engine_running",
        "fuel_level_percent",
        "fuel_remaining_gallons",
        "hv_battery_power_kw",
        "hv_battery_voltage_v",
        "latitude",
        "longitude",
        "odometer_miles",
        "speed_mph",
        "state_of_charge",
        "trip_distance_miles",
    ]);
    details.engine_running = engine_running.map(|flag: f64| flag > 0.0);
    details.charger_connected = charger_status.map(|status: f64| status > 0.0);
    details.charger_power_kw = details.charger_power_kw.or(charger_power_w.map(|watts: f64| watts / 1000.0));
    details.has_gps = Some(latitude.is_some() && longitude.is_some());
    if let (Some(latitude), Some(longitude)) = (latitude, longitude) {
        details.latitude = Some(cut_coordinate(latitude));
        details.longitude = Some(cut_coordinate(longitude));
    }
}

pub(crate) fn describe_put(event: &mut WideEvent<UploadDetails>, put: &Put) {
    if put.retried {
        event.note(Failure::new(
            Code::E203,
            "the batch was rolled back, and its uploads were retried one by one",
        ));
    }
    event.timings.add(Timing::DB_QUEUE, put.queue_ms);
    event.timings.add(Timing::DB_TRIP_QUERY, put.trip_query_ms);
    event.timings.add(Timing::DB_TELEMETRY_INSERT, put.insert_ms);
    event.timings.add(Timing::DB_COMMIT, put.commit_ms);
    event.technical.set(Technical::BATCH_SIZE, put.batch_size);
    event.technical.set(Technical::BATCH_RETRIED, put.retried);
}

/// A conflict in words, bounded: the unit is whatever the client sent.
fn unit_conflict(conflict: &UnitConflict) -> String {
    let cut = |text: &str| text.chars().take(32).collect::<String>();
    format!("{}: {} instead of {}", cut(&conflict.pid), cut(&conflict.reported), conflict.expected)
}

fn json(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}

impl From<RefusalCode> for Code {
    fn from(code: RefusalCode) -> Self {
        match code {
            RefusalCode::MissingIdentity => Self::E002,
            RefusalCode::BadSession => Self::E005,
            RefusalCode::Unreadable => Self::E300,
            RefusalCode::BadTime => Self::E301,
            RefusalCode::NoTelemetry => Self::E304,
        }
    }
}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Self {
        let (code, message) = match error {
            StoreError::Unavailable(_) | StoreError::Unexpected(_) => {
                (Code::E200, "the store cannot be reached or written")
            }
            StoreError::TimedOut(_) => (Code::E201, "the store did not answer in time"),
            StoreError::Exhausted(_) => (Code::E501, "the store has no room left"),
            StoreError::Constraint(_) => (Code::E202, "the store refused the data"),
            StoreError::Closed => (Code::E503, "the service is shutting down"),
        };
        Failure::new(code, message).caused_by("StoreError", error)
    }
}
