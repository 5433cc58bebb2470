//! Unit texts: which conversions exist, and when two spellings mean one unit.
//! No catalogue and no PID here.

/// Turns a value of one unit into another.
pub(super) type Convert = fn(f64) -> f64;

/// Every conversion a catalogue may ask for. The divisors are the exact
/// definitions: the international mile and foot-pound, the US gallon.
const CONVERSIONS: [(&str, &str, Convert); 9] = [
    ("km/h", "mph", |v| v / 1.609_344),
    ("m/s", "mph", |v| v / 0.447_04),
    ("km", "miles", |v| v / 1.609_344),
    ("l", "gallons", |v| v / 3.785_411_784),
    ("°C", "°F", |v| v * 9.0 / 5.0 + 32.0),
    ("W", "kW", |v| v / 1000.0),
    ("Wh", "kWh", |v| v / 1000.0),
    ("ft-lb", "Nm", |v| v * 1.355_817_948_331_400_4),
    ("ft", "m", |v| v * 0.3048),
];

/// Spellings seen in the wild, in the form [`canonical`] gives before it looks
/// them up.
const SPELLINGS: [(&str, &str); 24] = [
    ("kph", "kmh"),
    ("meterssecond", "ms"),
    ("metressecond", "ms"),
    ("mile", "miles"),
    ("mi", "miles"),
    ("liter", "l"),
    ("liters", "l"),
    ("litre", "l"),
    ("litres", "l"),
    ("gal", "gallons"),
    ("gallon", "gallons"),
    ("celsius", "c"),
    ("degc", "c"),
    ("fahrenheit", "f"),
    ("degf", "f"),
    ("volt", "v"),
    ("volts", "v"),
    ("amp", "a"),
    ("amps", "a"),
    ("lbft", "ftlb"),
    ("percent", "%"),
    ("degrees", "deg"),
    ("meters", "m"),
    ("metres", "m"),
];

/// The conversion from one unit to another, or `None` when there is none.
/// A unit converts to itself.
pub(super) fn conversion(from: &str, to: &str) -> Option<Convert> {
    if same(from, to) {
        return Some(|v| v);
    }
    CONVERSIONS.iter().find(|(f, t, _)| same(f, from) && same(t, to)).map(|&(_, _, convert)| convert)
}

/// Whether two texts mean the same unit: `km h` is `km/h`.
pub(super) fn same(a: &str, b: &str) -> bool {
    canonical(a) == canonical(b)
}

/// Whether the app leaves the unit open: it sends an empty text or a space for
/// percentages, ratios and plain counts.
pub(super) fn says_nothing(unit: &str) -> bool {
    canonical(unit).is_empty()
}

/// Letters, digits and `%` alone tell units apart. The app writes a space for
/// the slash, and a degree sign may arrive broken (Latin-1 read as UTF-8), so
/// what stands beside the letters is left out.
fn canonical(unit: &str) -> String {
    let bare: String = unit
        .chars()
        .filter(|c| *c == '%' || (c.is_alphanumeric() && *c != 'º'))
        .flat_map(char::to_lowercase)
        .collect();
    if bare.is_empty() && unit.contains(['°', 'º', char::REPLACEMENT_CHARACTER]) {
        return "deg".to_owned();
    }
    match SPELLINGS.iter().find(|(spelling, _)| *spelling == bare) {
        Some((_, usual)) => (*usual).to_owned(),
        None => bare,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_unit_are_the_same() {
        for (a, b) in [
            ("km h", "km/h"),
            ("kph", "km/h"),
            ("g s", "g/s"),
            ("l 100km", "L/100km"),
            ("\u{fffd}C", "°C"),
            ("ºC", "°C"),
            ("\u{fffd}", "°"),
            ("ft-lb", "ft·lb"),
        ] {
            assert!(same(a, b), "{a} and {b}");
        }
    }

    #[test]
    fn different_units_are_not_the_same() {
        for (a, b) in [("km/h", "mph"), ("°C", "°F"), ("°", "°C"), ("kW", "W")] {
            assert!(!same(a, b), "{a} and {b}");
        }
    }

    #[test]
    fn a_blank_text_says_nothing_but_a_degree_sign_does() {
        assert!(says_nothing("") && says_nothing(" "));
        assert!(!says_nothing("°") && !says_nothing("%"));
    }

    #[test]
    fn conversions_are_found_by_meaning_and_are_exact() {
        let mph = conversion("km h", "mph").expect("a known conversion");
        let fahrenheit = conversion("°C", "F").expect("a known conversion");
        assert_eq!(mph(1.609_344), 1.0);
        assert_eq!((fahrenheit(-40.0), fahrenheit(100.0)), (-40.0, 212.0));
        assert!(conversion("mph", "km/h").is_none());
    }
}
