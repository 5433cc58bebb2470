//! Uploads of a Volt as its phone sends them, made by hand: small enough to
//! see what a test says.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::backlog::Point;

/// A phone, and the session that its app is in.
#[derive(Debug, Clone)]
pub struct Phone {
    /// Its id: 32 hexadecimal digits.
    pub id: String,
    /// The account.
    pub email: String,
    /// The session's text.
    pub session: String,
}

impl Phone {
    /// The phone of that number, in a session that began at `start_ms`.
    pub fn new(number: u32, start_ms: i64) -> Self {
        Self {
            id: format!("{number:08x}deadbeefdeadbeef{number:08x}"),
            email: format!("driver{number}@example.com"),
            session: start_ms.to_string(),
        }
    }

    /// What every upload begins with.
    pub fn header(&self, time: impl std::fmt::Display) -> String {
        let Self { id, email, session } = self;
        format!("eml={email}&v=9&session={session}&id={id}&time={time}")
    }

    /// A small reading: speed, and what `parameters` says.
    pub fn reading(&self, time_ms: i64, parameters: &str) -> String {
        format!("{}&kff1001=48.28&{parameters}", self.header(time_ms))
    }

    /// The profile of the vehicle.
    pub fn profile(&self, time_ms: i64, name: &str) -> String {
        format!("{}&profileName={name}&profileFuelType=0&profileWeight=1607.0", self.header(time_ms))
    }

    /// A reading with every PID that the catalogue knows, of minute `minute`
    /// of a drive: on the battery for a quarter of an hour, then on gas.
    pub fn full_reading(&self, start_ms: i64, minute: u32) -> String {
        let mut query = self.header(start_ms + i64::from(minute) * 60_000);
        for (pid, value) in full(f64::from(minute)) {
            query.push_str(&format!("&k{pid}={value}"));
        }
        query
    }

    /// These minutes of a drive, to be sent as full readings.
    pub fn drive(&self, start_ms: i64, minutes: Range<u32>) -> Vec<Point> {
        let point = |minute| Point {
            time_ms: start_ms + i64::from(minute) * 60_000,
            query: self.full_reading(start_ms, minute),
        };
        minutes.map(point).collect()
    }
}

/// Now: epoch milliseconds.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970");
    i64::try_from(since.as_millis()).expect("the clock is before the year 292 million")
}

/// Miles a minute.
const PACE: f64 = 0.6;
/// Minute at which the battery is empty.
const GAS_FROM: f64 = 15.0;

fn full(minute: f64) -> Vec<(&'static str, f64)> {
    let on_gas = minute >= GAS_FROM;
    let gas = |value| if on_gas { value } else { 0.0 };
    let soc = (40.0 - minute * 1.6).max(16.0);
    let ev_miles = 30_000.0 + minute.min(GAS_FROM) * PACE;
    let gas_miles = 20_000.0 + (minute - GAS_FROM).max(0.0) * PACE;
    let fuel = 80.0 - (minute - GAS_FROM).max(0.0) * 0.2;
    vec![
        ("ff1005", -121.5 + minute * 0.01),
        ("ff1006", 37.25),
        ("ff1001", 57.9),
        ("ff1010", 31.0),
        ("ff1007", 90.0),
        ("ff1239", 4.0),
        ("ff123a", 14.0),
        ("ff1204", minute * PACE * 1.609_344),
        ("ff1271", gas(1.0)),
        ("c", gas(1800.0)),
        ("d", 58.0),
        ("11", 22.0),
        ("4", gas(35.0)),
        ("42", 13.9),
        ("5", 60.0),
        ("f", 25.0),
        ("46", 20.0),
        ("a6", (ev_miles + gas_miles) * 1.609_344),
        ("21", 0.0),
        ("2f", fuel),
        ("22002f", fuel),
        ("5b", soc),
        ("22005b", soc),
        ("220009", 360.0),
        ("222429", 360.0),
        ("22000a", if on_gas { -2.0 } else { 30.0 }),
        ("22000b", if on_gas { -0.7 } else { 10.8 }),
        ("222414", 30.0),
        ("22434f", 77.0),
        ("220038", 75.0),
        ("220057", 0.0),
        ("22006e", 0.0),
        ("224373", 0.0),
        ("224368", 0.0),
        ("224369", 0.0),
        ("22436b", 0.0),
        ("22436c", 0.0),
        ("22437d", 9000.0),
        ("220051", 3000.0),
        ("220052", 100.0),
        ("220053", gas(1800.0)),
        ("221570", 100.0),
        ("221571", 101.0),
        ("221572", 102.0),
        ("221573", 99.0),
        ("221154", 150.0),
        ("22203f", gas(60.0)),
        ("221930", gas(1.0)),
        ("220049", 160.0),
        ("220047", 120.0),
        ("2241a3", 17.6),
        ("224322", ev_miles),
        ("224323", gas_miles),
        ("224324", 500.0),
        ("224325", 8000.0),
        ("22430a", 10.0),
        ("22430c", 250.0),
    ]
}
