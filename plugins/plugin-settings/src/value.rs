//! The kinds of values that a setting can have, and how each is read from
//! text. Which settings there are is said where they are declared.

use std::ops::RangeInclusive;

/// A kind of value that a setting can have.
pub trait SettingValue: Sized {
    /// What limits the value.
    type Range;

    /// The value that `text` means; nothing where it is malformed or outside
    /// of `range`.
    fn read(text: &str, range: &Self::Range) -> Option<Self>;

    /// What the setting takes, as the end of a sentence.
    fn takes(range: &Self::Range) -> String;
}

impl SettingValue for f64 {
    type Range = RangeInclusive<f64>;

    fn read(text: &str, range: &Self::Range) -> Option<Self> {
        text.parse().ok().filter(|number| range.contains(number))
    }

    fn takes(range: &Self::Range) -> String {
        format!("a number from {} to {}", range.start(), range.end())
    }
}

impl SettingValue for u32 {
    type Range = RangeInclusive<u32>;

    fn read(text: &str, range: &Self::Range) -> Option<Self> {
        text.parse().ok().filter(|number| range.contains(number))
    }

    fn takes(range: &Self::Range) -> String {
        format!("a whole number from {} to {}", range.start(), range.end())
    }
}

/// One name in snake_case; its range is the longest length in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word(pub String);

impl SettingValue for Word {
    type Range = usize;

    fn read(text: &str, longest: &usize) -> Option<Self> {
        is_name(text, *longest).then(|| Self(text.to_owned()))
    }

    fn takes(longest: &usize) -> String {
        format!("a name in snake_case of 1 to {longest} characters")
    }
}

/// Names in snake_case of up to 64 characters, separated by commas, possibly
/// none; its range is the largest number of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl Names {
    /// Whether `name` is one of the names.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == name)
    }
}

impl SettingValue for Names {
    type Range = usize;

    fn read(text: &str, most: &usize) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let names: Vec<_> = text.split(',').map(str::trim).collect();
        let fits = names.len() <= *most && names.iter().all(|name| is_name(name, 64));
        fits.then(|| Self(names.into_iter().map(str::to_owned).collect()))
    }

    fn takes(most: &usize) -> String {
        format!("up to {most} names in snake_case, separated by commas")
    }
}

fn is_name(text: &str, longest: usize) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !text.is_empty() && text.len() <= longest && text.chars().all(allowed)
}
