//! Drives that a test makes up, and what phones upload of them. Nothing is
//! sent here.

use std::collections::BTreeSet;

use proptest::prelude::*;

/// Sessions that every device may be in: their texts are the same.
const SESSIONS: usize = 3;
const DEVICES: usize = 2;
/// Cars that every device may be in, from session to session.
const CARS: usize = 2;
/// When the newest drive began: epoch milliseconds.
const NEWEST_MS: i64 = 1_767_312_000_000;
const DAY_MS: i64 = 86_400_000;

/// One session of one device.
#[derive(Debug, Clone)]
pub(super) struct Drive {
    device: usize,
    session: usize,
    /// How many days before the newest one it began.
    days_ago: i64,
    /// Seconds from one reading to the next.
    every_seconds: i64,
    readings: u32,
    start_soc: f64,
    start_fuel: f64,
    /// What the gauge is off by at each reading, as a real one is.
    gauge_noise: Vec<f64>,
    /// From which reading on the engine drives.
    engine_from: u32,
    has_odometer: bool,
}

/// One to six drives, no two of the same device and session, and no two of one
/// device on one day: a phone has one session at a time.
pub(super) fn drives() -> impl Strategy<Value = Vec<Drive>> {
    let which: Vec<_> =
        (0..DEVICES).flat_map(|device| (0..SESSIONS).map(move |session| (device, session))).collect();
    prop::sample::subsequence(which, 1..=DEVICES * SESSIONS).prop_flat_map(|which| {
        let drives: Vec<_> =
            which.into_iter().map(|(device, session)| drive(device, session).boxed()).collect();
        drives
    })
}

fn drive(device: usize, session: usize) -> impl Strategy<Value = Drive> {
    // Sessions alternate, so that each may be the first of a device.
    let days_ago = (0..10_i64).prop_map(move |day| day * 3 + i64::try_from(session).unwrap_or_default());
    let levels = (15.0..95.0_f64, 10.0..95.0_f64, prop::collection::vec(-12.0..12.0_f64, 8));
    (days_ago, 20..100_i64, 1..9_u32, levels, 0..9_u32, any::<bool>()).prop_map(
        move |(
            days_ago,
            every_seconds,
            readings,
            (start_soc, start_fuel, noise),
            engine_from,
            has_odometer,
        )| {
            Drive {
                device,
                session,
                days_ago,
                every_seconds,
                readings,
                start_soc: start_soc.round(),
                start_fuel: start_fuel.round(),
                gauge_noise: noise.into_iter().map(f64::round).collect(),
                engine_from,
                has_odometer,
            }
        },
    )
}

/// The ids of the devices of a fleet of that name.
pub(super) fn devices(drives: &[Drive], fleet: &str) -> BTreeSet<String> {
    drives.iter().map(|drive| drive.device_id(fleet)).collect()
}

/// The queries that the phones upload, in the order in which they were driven.
pub(super) fn uploads(drives: &[Drive], fleet: &str) -> Vec<String> {
    let mut uploads: Vec<_> = drives.iter().flat_map(|drive| drive.uploads(fleet)).collect();
    uploads.sort_by_key(|(time_ms, _)| *time_ms);
    uploads.into_iter().map(|(_, query)| query).collect()
}

impl Drive {
    fn device_id(&self, fleet: &str) -> String {
        format!("{fleet}-device-{}", self.device)
    }

    /// A notice, a profile, then the readings; each with its time.
    fn uploads(&self, fleet: &str) -> Vec<(i64, String)> {
        let start_ms = NEWEST_MS - self.days_ago * DAY_MS;
        let header = |time_ms: i64| {
            let (id, session) = (self.device_id(fleet), self.session);
            format!("eml=driver@example.com&v=9&session=session {session}&id={id}&time={time_ms}")
        };
        let notice = format!("{}&notice=Trip started&noticeClass=trip", header(start_ms));
        let profile = format!("{}&profileName=Volt {}", header(start_ms), self.session % CARS);
        let readings = (0..self.readings).map(|index| {
            let time_ms = start_ms + i64::from(index) * self.every_seconds * 1000;
            (time_ms, format!("{}&{}", header(time_ms), self.values(index)))
        });
        [(start_ms, notice), (start_ms, profile)].into_iter().chain(readings).collect()
    }

    fn values(&self, index: u32) -> String {
        let (at, on_engine) = (f64::from(index), index >= self.engine_from);
        let soc = (self.start_soc - 4.0 * at).max(8.0);
        let used = if on_engine { 0.3 * at } else { 0.0 };
        let noise = self.gauge_noise[index as usize % self.gauge_noise.len()];
        let fuel = (self.start_fuel - used + noise).clamp(0.0, 100.0);
        let rpm = if on_engine { 1500.0 } else { 0.0 };
        let mut values = format!(
            "kff1001=48.3&kff1005={}&kff1006=37.25&kff1204={}&kc={rpm}&k5b={soc}&k2f={fuel}&k46={}&k22000b={}",
            -121.5 + 0.01 * at,
            0.9 * at,
            20.0 + at,
            if on_engine { -0.5 } else { 9.75 },
        );
        if self.has_odometer {
            values.push_str(&format!("&ka6={}", 50_000.0 + 0.9 * at));
        }
        values
    }
}
