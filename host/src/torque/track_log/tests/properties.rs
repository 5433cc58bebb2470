//! What holds for any number, time and order.

use jiff::Timestamp;
use jiff::civil::DateTime;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Formats that logs have, and whether they have milliseconds.
const FORMATS: [(&str, bool); 7] = [
    ("%d-%b-%Y %H:%M:%S.%3f", true),
    ("%Y-%m-%d %H:%M:%S.%3f", true),
    ("%Y-%m-%dT%H:%M:%S", false),
    ("%b %d, %Y %H:%M:%S", false),
    ("%d.%m.%Y %H:%M:%S.%3f", true),
    ("%m/%d/%Y %H:%M:%S", false),
    ("%a %b %d %H:%M:%S UTC %Y", false),
];

fn one(header: &str, row: &str) -> Vec<Logged> {
    // Semicolons, as one of the formats has a comma in it.
    read(format!("Device Time;{header}\n{row}\n")).expect("a track log").0
}

proptest! {
    #[test]
    fn a_number_is_what_rust_reads_of_it_with_a_point_or_a_comma(value in -1000.0..20_000.0_f64, comma: bool) {
        let text = if comma { value.to_string().replace('.', ",") } else { value.to_string() };
        let logged = one("Altitude", &format!("2026-01-07 10:15:00;{text}"));
        prop_assert_eq!(logged[0].reading.get("altitude_m"), Some(value + 0.0));
    }

    #[test]
    fn a_time_is_read_in_each_format_that_logs_have(
        time_ms in 100_000_000_000..RECEIVED_MS, (format, milliseconds) in select(FORMATS.to_vec()),
    ) {
        let time_ms = if milliseconds { time_ms } else { time_ms / 1000 * 1000 };
        let text = Timestamp::from_millisecond(time_ms).expect("a time").strftime(format).to_string();
        // A second row tells which way dates of three numbers are to be read.
        let told = if format.contains('/') { "01/31/2000 00:00:00" } else { "31.01.2000 00:00:00" };
        let logged = one("Altitude", &format!("{text};1\n{told};1"));
        prop_assert_eq!(logged[0].reading.time_ms, time_ms, "{}", text);
    }

    #[test]
    fn a_zone_moves_a_time_by_its_offset(time_ms in 100_000_000_000..RECEIVED_MS, hours in -12..=14_i32) {
        let time_ms = time_ms / 1000 * 1000;
        let offset = jiff::tz::Offset::constant(hours.try_into().expect("few"));
        let local: DateTime = offset.to_datetime(Timestamp::from_millisecond(time_ms).expect("a time"));
        let text = local.strftime(&format!("%a %b %d %H:%M:%S GMT{hours:+03}:00 %Y")).to_string();
        prop_assert_eq!(one("Altitude", &format!("{text};1"))[0].reading.time_ms, time_ms, "{}", text);
    }

    #[test]
    fn any_text_is_a_time_or_none(text in "\\PC{0,40}", order in select(vec![
        DayOrder::DayFirst, DayOrder::MonthFirst, DayOrder::Untold,
    ])) {
        stamp::parse(&text, order).ok();
        zones::offset(&text);
    }
}
