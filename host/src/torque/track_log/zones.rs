//! Zone abbreviations that phones write, and the offsets they stand for. Where
//! several zones share one, it is that of most cars that log.

use jiff::tz::Offset;

/// Abbreviation and minutes east of Greenwich.
const ZONES: [(&str, i32); 52] = [
    ("UTC", 0),
    ("GMT", 0),
    ("Z", 0),
    ("WET", 0),
    ("WEST", 60),
    ("BST", 60),
    ("CET", 60),
    ("MEZ", 60),
    ("CEST", 120),
    ("MESZ", 120),
    ("EET", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("TRT", 180),
    ("CAT", 120),
    ("EAT", 180),
    ("SAST", 120),
    ("GST", 240),
    ("PKT", 300),
    ("IST", 330),
    ("ICT", 420),
    ("WIB", 420),
    ("HKT", 480),
    ("SGT", 480),
    ("MYT", 480),
    ("PHT", 480),
    ("AWST", 480),
    ("JST", 540),
    ("KST", 540),
    ("ACST", 570),
    ("ACDT", 630),
    ("AEST", 600),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
    ("NST", -210),
    ("NDT", -150),
    ("AST", -240),
    ("ADT", -180),
    ("EST", -300),
    ("EDT", -240),
    ("CST", -360),
    ("CDT", -300),
    ("MST", -420),
    ("MDT", -360),
    ("PST", -480),
    ("PDT", -420),
    ("AKST", -540),
    ("AKDT", -480),
    ("HST", -600),
    ("BRT", -180),
    ("ART", -180),
];

/// The offset of an abbreviation, or of an offset in digits (`GMT-03:00`,
/// `+0530`).
pub(super) fn offset(text: &str) -> Option<Offset> {
    let known = ZONES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    let minutes = known.map(|&(_, minutes)| minutes).or_else(|| in_digits(text))?;
    Offset::from_seconds(minutes * 60).ok()
}

fn in_digits(text: &str) -> Option<i32> {
    let digits = text.strip_prefix("GMT").or_else(|| text.strip_prefix("UTC")).unwrap_or(text);
    let (sign, digits) = match digits.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "0"),
    };
    let number = |text: &str, below: i32| {
        let plain = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i32>().ok().filter(|number| plain && *number < below)
    };
    Some(sign * (number(hours, 19)? * 60 + number(minutes, 60)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abbreviation_is_an_offset() {
        let seconds = |text| offset(text).map(Offset::seconds);
        for (text, hours) in [("PST", -8), ("pdt", -7), ("UTC", 0), ("CEST", 2), ("NZDT", 13)] {
            assert_eq!(seconds(text), Some(hours * 3600), "{text}");
        }
        assert_eq!(seconds("GMT-03:30"), Some(-12_600));
        assert_eq!(seconds("+0530"), Some(19_800));
        assert_eq!(seconds("UTC+2"), Some(7200));
        for text in ["", "XYZ", "+", "GMT+", "+99", "+01:60", "+1:+2", "+é", "PSTT", "+12345"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn each_abbreviation_is_listed_once() {
        let mut names: Vec<_> = ZONES.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ZONES.len());
    }
}
