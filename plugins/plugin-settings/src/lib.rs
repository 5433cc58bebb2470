//! How a plugin declares its settings: once, for the struct that its rules
//! read, for what `describe` lists and for what `configure` accepts.
//!
//! No rule, no threshold and nothing of the plugin contract lives here.

mod value;

use std::collections::BTreeSet;

pub use value::{Names, SettingValue, Word};

/// One setting, as `describe` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// Name in snake_case.
    pub key: &'static str,
    /// The value in force when none is set, as text.
    pub default: &'static str,
    /// What it changes, with unit and range, in one sentence.
    pub doc: String,
}

/// Settings of one plugin, declared with [`settings!`].
pub trait SettingSet: Default {
    /// All settings, in the order of their declaration.
    fn declarations() -> Vec<Declaration>;

    /// Sets one setting from its text.
    ///
    /// # Errors
    /// A sentence that names the setting, the value given and what it takes.
    fn set(&mut self, key: &str, text: &str) -> Result<(), String>;

    /// Checks the settings against each other, after all are set.
    ///
    /// # Errors
    /// A sentence that names the settings that contradict each other.
    fn check(&self) -> Result<(), String>;
}

/// Makes settings from key and value texts; what is not named keeps its
/// default.
///
/// # Errors
/// The first fault found: an unknown key, a key given twice, a value that the
/// setting does not take, or settings that contradict each other.
pub fn configure<S: SettingSet>(given: &[(String, String)]) -> Result<S, String> {
    let mut settings = S::default();
    let mut seen = BTreeSet::new();
    for (key, text) in given {
        if !seen.insert(key.as_str()) {
            return Err(format!("setting `{key}` is given twice"));
        }
        settings.set(key, text)?;
    }
    settings.check()?;
    Ok(settings)
}

/// The refusal of a key that no setting has.
pub fn unknown<S: SettingSet>(key: &str) -> String {
    let known: Vec<_> = S::declarations().iter().map(|d| d.key).collect();
    format!("unknown setting `{key}`: this plugin takes {}", known.join(", "))
}

/// Reads one value.
///
/// # Errors
/// A sentence that names the setting, the value given and what it takes.
pub fn read<V: SettingValue>(key: &str, text: &str, range: &V::Range) -> Result<V, String> {
    V::read(text.trim(), range).ok_or_else(|| {
        let shown: String = text.chars().take(80).collect();
        let takes = V::takes(range);
        format!("setting `{key}` is `{shown}`, but takes {takes}")
    })
}

/// Declares a plugin's settings.
///
/// Each line is `key: type = "default", range, "What it changes, with unit.";`
/// and becomes a public field of the struct. The sentence that `describe`
/// shows is the text and the range together, so neither default nor range can
/// be told differently from what is in force.
#[macro_export]
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($key:ident: $type:ty = $default:literal, $range:expr, $doc:literal;)+
        }
        check = $check:expr;
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(#[doc = $doc] pub $key: $type,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($key: $crate::read(stringify!($key), $default, &$range)
                        .expect("a declared default is within its range"),)+
                }
            }
        }

        impl $crate::SettingSet for $name {
            fn declarations() -> Vec<$crate::Declaration> {
                vec![$($crate::Declaration {
                    key: stringify!($key),
                    default: $default,
                    doc: format!(
                        "{} Takes {}.",
                        $doc,
                        <$type as $crate::SettingValue>::takes(&$range),
                    ),
                },)+]
            }

            fn set(&mut self, key: &str, text: &str) -> Result<(), String> {
                match key {
                    $(stringify!($key) => {
                        self.$key = $crate::read(key, text, &$range)?;
                        Ok(())
                    })+
                    _ => Err($crate::unknown::<Self>(key)),
                }
            }

            fn check(&self) -> Result<(), String> {
                let check: fn(&Self) -> Result<(), String> = $check;
                check(self)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    settings! {
        /// Settings of a plugin that does not exist.
        pub struct Sample {
            tank_gallons: f64 = "9.3122", 0.1..=1000.0, "Size of the tank in US gallons.";
            from_trips: u32 = "20", 0..=100, "From how many trips on.";
            flags: Names = "a_b,c", 3, "Flags that matter.";
            tier: Word = "heavy", 16, "Tier that matters.";
        }
        check = |s| {
            if s.from_trips == 99 { Err("`from_trips` is 99".into()) } else { Ok(()) }
        };
    }

    fn given(key: &str, value: &str) -> Result<Sample, String> {
        configure(&[(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn defaults_are_what_describe_lists() {
        let listed: Vec<_> =
            Sample::declarations().into_iter().map(|d| (d.key.to_owned(), d.default.to_owned())).collect();

        assert_eq!(configure::<Sample>(&listed), Ok(Sample::default()));
        assert_eq!(Sample::default().flags.0, ["a_b", "c"]);
    }

    #[test]
    fn the_doc_ends_with_the_range() {
        assert_eq!(
            Sample::declarations()[0].doc,
            "Size of the tank in US gallons. Takes a number from 0.1 to 1000."
        );
    }

    #[test]
    fn what_is_not_named_keeps_its_default() {
        let settings = given("from_trips", " 7 ").expect("7 is in range");

        assert_eq!(settings.from_trips, 7);
        assert_eq!(settings.tank_gallons, 9.3122);
    }

    #[test]
    fn a_refusal_names_setting_value_and_what_it_takes() {
        assert_eq!(
            given("tank_gallons", "NaN"),
            Err("setting `tank_gallons` is `NaN`, but takes a number from 0.1 to 1000".into())
        );
        assert_eq!(
            given("from_trips", "1.5"),
            Err("setting `from_trips` is `1.5`, but takes a whole number from 0 to 100".into())
        );
        assert_eq!(
            given("tank", "1"),
            Err("unknown setting `tank`: this plugin takes tank_gallons, from_trips, flags, tier".into())
        );
    }

    #[test]
    fn malformed_values_are_refused() {
        for (key, value) in [
            ("tank_gallons", ""),
            ("tank_gallons", "inf"),
            ("tank_gallons", "1e999"),
            ("tank_gallons", "0"),
            ("tank_gallons", "9,3"),
            ("from_trips", "-1"),
            ("from_trips", "101"),
            ("flags", "a b"),
            ("flags", "a,,b"),
            ("flags", "a,b,c,d"),
            ("tier", ""),
            ("tier", "Heavy Duty"),
            ("from_trips", "99"),
        ] {
            assert!(given(key, value).is_err(), "{key} = {value:?}");
        }
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        let twice = [("tier".to_owned(), "a".to_owned()), ("tier".to_owned(), "b".to_owned())];

        assert_eq!(configure::<Sample>(&twice), Err("setting `tier` is given twice".into()));
    }

    #[test]
    fn an_empty_list_of_names_is_a_value() {
        let settings = given("flags", "").expect("no flags is a choice");

        assert!(settings.flags.0.is_empty());
    }
}
