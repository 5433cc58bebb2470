//! Which of a row's two times counts, and in which zone it is.

use jiff::Timestamp;
use jiff::tz::Offset;

use super::stamp::{self, DayOrder, NoTime, Stamp};
use crate::torque::header::{DAY_MS, FIRST_MILLISECOND_TIME};

/// Reads the times of one file's rows, in their order.
pub(super) struct Clock {
    order: DayOrder,
    /// Of the last time that named one; before that, of the file.
    zone: Offset,
    /// The GPS time of the row before.
    last_gps: Option<Timestamp>,
    received_ms: i64,
}

impl Clock {
    pub(super) fn new(order: DayOrder, zone: Option<Offset>, received_ms: i64) -> Self {
        Self { order, zone: zone.unwrap_or(Offset::UTC), last_gps: None, received_ms }
    }

    /// The time of a row: that of the satellites, which is right, unless they
    /// are out of sight and it stands still; then that of the phone. The phone
    /// names no zone, and is in that of the times that do.
    pub(super) fn read(&mut self, gps: &str, device: &str) -> Result<i64, &'static str> {
        let gps = match self.moment(gps) {
            // Who does not know the zone of one does not know that of the other.
            Err(NoTime::UnknownZone) => return Err("its time is in a zone that is not known"),
            gps => gps,
        };
        let repeats = gps.is_ok() && gps.ok() == self.last_gps;
        self.last_gps = gps.ok().or(self.last_gps);
        let gps = gps.map_err(in_words).and_then(|moment| self.judge(moment));
        if gps.is_ok() && !repeats {
            return gps;
        }
        let device = self.moment(device).map_err(in_words).and_then(|moment| self.judge(moment));
        match (device, gps) {
            (Ok(time_ms), _) | (_, Ok(time_ms)) => Ok(time_ms),
            (Err(NO_TIME), Err(reason)) | (Err(reason), Err(_)) => Err(reason),
        }
    }

    fn moment(&mut self, text: &str) -> Result<Timestamp, NoTime> {
        match stamp::parse(text, self.order)? {
            Stamp::Moment(moment) => Ok(moment),
            Stamp::Zoned(time, zone) => {
                self.zone = zone;
                zone.to_timestamp(time).map_err(|_| NoTime::Malformed)
            }
            Stamp::Local(time) => self.zone.to_timestamp(time).map_err(|_| NoTime::Malformed),
        }
    }

    fn judge(&self, moment: Timestamp) -> Result<i64, &'static str> {
        match moment.as_millisecond() {
            time_ms if time_ms < FIRST_MILLISECOND_TIME => Err("its time is before any phone's"),
            time_ms if time_ms > self.received_ms.saturating_add(DAY_MS) => {
                Err("its time is more than 24 hours ahead")
            }
            time_ms => Ok(time_ms),
        }
    }
}

const NO_TIME: &str = "it has no time";

fn in_words(no_time: NoTime) -> &'static str {
    match no_time {
        NoTime::Missing => NO_TIME,
        NoTime::Malformed => "its time cannot be read",
        NoTime::UnknownZone => "its time is in a zone that is not known",
    }
}
