//! The text of the uploads: notices, profile, unit requests and telemetry as Torque Pro
//! writes them (query strings, not yet percent-encoded beyond what the app does). No sending.

use std::fmt::Write as _;

use rand::RngExt;
use uuid::Uuid;

use super::drive::Drive;
use super::noise::stream;
use super::parameters::parameters;
use super::readout::{Readout, Value};

/// Number of the random stream of names.
const NAME_STREAM: u64 = 2;
/// The session begins this long before the first reading, in ms.
const LEAD_IN_MS: i64 = 1_000;
/// The notice of the end follows the last reading after this time, in ms.
const LEAD_OUT_MS: i64 = 400;
/// Version of the upload format the app gives as `v`.
const FORMAT_VERSION: u32 = 9;

/// Who uploads: phone, car and session.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Account (`eml`).
    pub account: String,
    /// Device (`id`), 32 hex digits.
    pub device: String,
    /// Name of the vehicle's profile.
    pub profile_name: String,
    /// Time of the first reading, epoch ms.
    pub start_ms: i64,
}

impl Identity {
    /// The vehicle `number` (from 1) of a run, with its device taken from its seed.
    pub fn new(seed: u64, number: u32, start_ms: i64) -> Self {
        let device: u128 = stream(seed, NAME_STREAM).random();
        Self {
            account: format!("driver{number}@example.com"),
            device: format!("{device:032x}"),
            profile_name: format!("Volt {number}"),
            start_ms,
        }
    }

    /// The session's text as the app sends it: the epoch ms at which it began.
    pub fn session(&self) -> String {
        (self.start_ms - LEAD_IN_MS).to_string()
    }

    /// The id the receiver gives the session: UUIDv5 of its text in the OID namespace.
    pub fn session_id(&self) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, self.session().as_bytes())
    }

    fn header(&self, time_ms: i64) -> String {
        let (eml, id, session) = (&self.account, &self.device, self.session());
        format!("eml={eml}&v={FORMAT_VERSION}&session={session}&id={id}&time={time_ms}")
    }
}

/// One request of the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Time the app gives it, epoch ms.
    pub time_ms: i64,
    /// Whether it is telemetry, which alone makes a reading.
    pub is_reading: bool,
    /// The query string.
    pub query: String,
}

/// All requests of a drive in the order in which the app makes them.
pub fn uploads<'a>(drive: &'a Drive, identity: &'a Identity) -> impl Iterator<Item = Upload> + use<'a> {
    let begin_ms = identity.start_ms - LEAD_IN_MS;
    let opening = [
        (begin_ms + 36, notice("Trip started")),
        (begin_ms + 269, profile(identity)),
        (begin_ms + 271, default_units()),
        (begin_ms + 285, user_units()),
    ];
    let end_ms = identity.start_ms + drive.truth.duration_ms.cast_signed() + LEAD_OUT_MS;
    let closing = [(end_ms, notice("Trip ended"))];
    let told = move |(time_ms, rest): (i64, String)| Upload {
        time_ms,
        is_reading: false,
        query: identity.header(time_ms) + &rest,
    };
    let mut readout = Readout::new(drive);
    let readings = drive.samples.iter().map(move |sample| {
        let time_ms = identity.start_ms + sample.elapsed_ms.cast_signed();
        Upload {
            time_ms,
            is_reading: true,
            query: identity.header(time_ms) + &telemetry(&readout.read(sample)),
        }
    });
    opening.into_iter().map(told).chain(readings).chain(closing.into_iter().map(told))
}

/// Escapes what the app escapes in names; `°` and `%`-free text goes raw.
fn escape(text: &str) -> String {
    text.replace('%', "%25").replace(' ', "%20").replace('&', "%26")
}

fn notice(text: &str) -> String {
    let class = "org.prowl.torque.map.notices.TripNotice";
    format!("&notice={}&noticeClass={class}", escape(text))
}

fn profile(identity: &Identity) -> String {
    // Fuel type 0 is petrol; the weight is in kg, the cost per litre.
    format!(
        "&profileName={}&profileFuelType=0&profileWeight=1680.0&profileVe=85.0&profileFuelCost=0.925",
        escape(&identity.profile_name)
    )
}

/// Unit requests pad a PID of one digit to two; `k` keys do not.
fn padded(pid: &str) -> String {
    format!("{pid:0>2}")
}

fn default_units() -> String {
    parameters().fold(String::new(), |mut text, parameter| {
        let (pid, unit) = (padded(parameter.pid), escape(parameter.unit));
        let _ = write!(text, "&defaultUnit{pid}={unit}");
        text
    })
}

fn user_units() -> String {
    parameters().fold(String::new(), |mut text, parameter| {
        let pid = padded(parameter.pid);
        let unit = escape(parameter.display_unit);
        let (short, full) = (escape(parameter.short_name), escape(parameter.full_name));
        let _ = write!(text, "&userUnit{pid}={unit}&userShortName{pid}={short}&userFullName{pid}={full}");
        text
    })
}

/// The `k` keys of a reading; position and GPS speed come twice, as the app sends them.
fn telemetry(values: &[Value]) -> String {
    let repeated = ["ff1005", "ff1006", "ff1001"];
    let again = values.iter().filter(|v| repeated.contains(&v.pid));
    values.iter().chain(again).fold(String::new(), |mut text, value| {
        let decimals = value.decimals;
        let _ = write!(text, "&k{}={:.decimals$}", value.pid, value.value);
        text
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by a panic")]
mod tests;
