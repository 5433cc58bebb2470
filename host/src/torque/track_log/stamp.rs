//! The times that logs have been seen to hold, each as its text alone tells it.
//! Which of a row's times counts is the clock's business.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::Offset;

use super::zones;

/// A time as its text tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// A moment.
    Moment(Timestamp),
    /// A time of day in the zone that it names.
    Zoned(DateTime, Offset),
    /// A time of day somewhere.
    Local(DateTime),
}

/// Why a text is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoTime {
    /// It says that there is none.
    Missing,
    /// It is none.
    Malformed,
    /// It names a zone that is not in the table.
    UnknownZone,
}

/// Which comes first in a date of three numbers, the year being the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DayOrder {
    /// `31/01/2026`.
    DayFirst,
    /// `01/31/2026`.
    MonthFirst,
    /// No date of the file tells: the month, but the day between dots.
    #[default]
    Untold,
}

/// How often the dates of a file tell that the day or the month is first.
#[derive(Debug, Default)]
pub(super) struct DayVotes {
    day_first: u64,
    month_first: u64,
}

impl DayVotes {
    /// Counts what a time tells.
    pub(super) fn count(&mut self, text: &str) {
        let Some(Numeric { first, second, .. }) = numeric(text) else { return };
        self.day_first += u64::from(first > 12 && second <= 12);
        self.month_first += u64::from(second > 12 && first <= 12);
    }

    /// What most of those dates say that can be read one way only.
    pub(super) fn order(&self) -> DayOrder {
        match self.day_first.cmp(&self.month_first) {
            std::cmp::Ordering::Greater => DayOrder::DayFirst,
            std::cmp::Ordering::Less => DayOrder::MonthFirst,
            std::cmp::Ordering::Equal => DayOrder::Untold,
        }
    }
}

/// A date of three numbers, and the time behind it.
struct Numeric<'t> {
    first: u8,
    second: u8,
    year: i16,
    dotted: bool,
    time: &'t str,
}

/// Reads the text of a time.
pub(super) fn parse(text: &str, order: DayOrder) -> Result<Stamp, NoTime> {
    let text = text.trim();
    if text.is_empty() || text == "-" {
        return Err(NoTime::Missing);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return since_the_epoch(text).map(Stamp::Moment).ok_or(NoTime::Malformed);
    }
    if let Some(date) = numeric(text) {
        return local(date.read(order));
    }
    if text.as_bytes()[0].is_ascii_digit() {
        return match text.parse::<Timestamp>() {
            Ok(moment) => Ok(Stamp::Moment(moment)),
            Err(_) => local(text.parse().ok().or_else(|| by("%d-%b-%Y %H:%M:%S%.f", text))),
        };
    }
    match java_date(text) {
        Some((date, zone)) => {
            let zone = zones::offset(zone).ok_or(NoTime::UnknownZone)?;
            Ok(Stamp::Zoned(by("%b %d %H:%M:%S%.f %Y", &date).ok_or(NoTime::Malformed)?, zone))
        }
        None => local(by("%b %d, %Y %H:%M:%S%.f", text)),
    }
}

fn local(time: Option<DateTime>) -> Result<Stamp, NoTime> {
    time.map(Stamp::Local).ok_or(NoTime::Malformed)
}

fn by(format: &str, text: &str) -> Option<DateTime> {
    strtime::parse(format, text).ok()?.to_datetime().ok()
}

/// Seconds or milliseconds, told by how many digits there are: those of the
/// years from 2001 to 2286.
fn since_the_epoch(digits: &str) -> Option<Timestamp> {
    let number = digits.parse().ok()?;
    match digits.len() {
        10 => Timestamp::from_second(number).ok(),
        13 => Timestamp::from_millisecond(number).ok(),
        _ => None,
    }
}

/// `Sat Jan 03 15:55:17 PST 2026` without its day's name, and its zone.
fn java_date(text: &str) -> Option<(String, &str)> {
    let words: Vec<&str> = text.split_ascii_whitespace().take(7).collect();
    let [_, month, day, time, zone, year] = words[..] else { return None };
    Some((format!("{month} {day} {time} {year}"), zone))
}

fn numeric(text: &str) -> Option<Numeric<'_>> {
    let (date, time) = text.split_once(' ').unwrap_or((text, "00:00:00"));
    let separator = *date.as_bytes().iter().find(|byte| !byte.is_ascii_digit())?;
    if separator != b'/' && separator != b'.' {
        return None;
    }
    let mut parts = date.split(char::from(separator));
    let (first, second, year) = (parts.next()?, parts.next()?, parts.next()?);
    let plain = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if parts.next().is_some() || !plain(first, 2) || !plain(second, 2) || !plain(year, 4) || year.len() < 4 {
        return None;
    }
    Some(Numeric {
        first: first.parse().ok()?,
        second: second.parse().ok()?,
        year: year.parse().ok()?,
        dotted: separator == b'.',
        time: time.trim(),
    })
}

impl Numeric<'_> {
    fn read(&self, order: DayOrder) -> Option<DateTime> {
        let day_first = match order {
            DayOrder::DayFirst => true,
            DayOrder::MonthFirst => false,
            DayOrder::Untold => self.dotted,
        };
        let (day, month) = if day_first { (self.first, self.second) } else { (self.second, self.first) };
        let Self { year, time, .. } = self;
        by("%Y-%m-%d %H:%M:%S%.f", &format!("{year:04}-{month:02}-{day:02} {time}"))
    }
}
