//! Telemetry parameters into one reading: numbers into fields by the catalogue,
//! the rest kept as text. Header parameters and the other kinds of upload are
//! not here.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde::Serializer as _;

use super::catalogue::{Catalogue, Combine, Pid, Rule};

/// `Float.MAX_VALUE` and what is beyond: the app's way to say that it overflowed.
const OVERFLOW: f64 = f32::MAX as f64;

/// One moment of a drive, as the car and the phone told it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// When, by the phone's clock, in epoch milliseconds.
    pub time_ms: i64,
    /// What the catalogue knows, sorted by name; every number is finite and in
    /// the unit that the catalogue gives the field.
    pub fields: Vec<(&'static str, f64)>,
    /// What it does not know: PID (lower case, no leading zeros) and the text as
    /// sent, sorted by PID.
    pub unknown: Vec<(String, String)>,
    /// Whether an impossible position was left out. No fix (0,0) is not one.
    pub position_dropped: bool,
}

impl Reading {
    /// The value of a field.
    pub fn get(&self, field: &str) -> Option<f64> {
        // Most names differ in length already, which a search by halves does not see.
        self.fields.iter().find(|(name, _)| *name == field).map(|&(_, value)| value)
    }

    /// The values of several fields, which are sorted by name as the reading's own
    /// are: both are gone through once.
    pub fn pick<const N: usize>(&self, sorted: [&str; N]) -> [Option<f64>; N] {
        debug_assert!(sorted.is_sorted(), "{sorted:?}");
        let mut fields = self.fields.iter().peekable();
        sorted.map(|field| {
            loop {
                let &(name, value) = *fields.peek()?;
                match name.cmp(field) {
                    Ordering::Greater => return None,
                    Ordering::Equal => return Some(value),
                    Ordering::Less => _ = fields.next(),
                }
            }
        })
    }

    /// The unknown PIDs as a JSON object of texts; the same ones always give the
    /// same text.
    pub fn unknown_to_json(&self) -> String {
        // About as long as it will be.
        let mut json = Vec::with_capacity(2 + self.unknown.len() * 24);
        serde_json::Serializer::new(&mut json)
            .collect_map(self.unknown.iter().map(|(pid, text)| (pid, text)))
            .expect("texts always make JSON, and a Vec takes every byte");
        String::from_utf8(json).expect("serde_json writes UTF-8")
    }
}

/// The telemetry of one request while it is read.
pub(super) struct Telemetry<'c, 'q> {
    catalogue: &'c Catalogue,
    /// One per field of the catalogue: the value and its PID's precedence.
    slots: Vec<Option<(f64, u8)>>,
    unknown: Vec<(Cow<'q, str>, Cow<'q, str>)>,
    dropped: u32,
    /// Whether a latitude or longitude was off the globe.
    off_globe: bool,
}

/// The telemetry of one request, read: a reading but for its time.
pub(super) struct Settled {
    fields: Vec<(&'static str, f64)>,
    unknown: Vec<(String, String)>,
    position_dropped: bool,
    pub(super) dropped_values_count: u32,
}

impl<'c, 'q> Telemetry<'c, 'q> {
    pub(super) fn new(catalogue: &'c Catalogue) -> Self {
        Self {
            catalogue,
            slots: vec![None; catalogue.fields().len()],
            unknown: Vec::new(),
            dropped: 0,
            off_globe: false,
        }
    }

    /// Takes one parameter; the PID is `key` from byte `start` on, hex digits
    /// that stand for `number`.
    pub(super) fn take(&mut self, number: Option<u64>, key: Cow<'q, str>, start: usize, text: Cow<'q, str>) {
        match number.and_then(|number| self.catalogue.pid_by_number(number)) {
            Some(pid) => self.take_known(pid, &text),
            None => self.take_unknown(normal_pid(key, start), text),
        }
    }

    fn take_known(&mut self, pid: &Pid, text: &str) {
        match number(text) {
            Some(number) => self.take_value(pid, (pid.convert)(number)),
            None => self.drop_value(),
        }
    }

    /// Takes a value that is in the unit of its field already.
    pub(super) fn take_value(&mut self, pid: &Pid, value: f64) {
        // Adding zero makes -0 the same as 0, so that equal readings are
        // written alike.
        let value = value + 0.0;
        if pid.plausible(value) {
            self.fill(pid, value);
        } else {
            self.drop_value();
            self.off_globe |= self.is_position(pid.slot);
        }
    }

    /// Takes what the catalogue does not know, under whatever name it has.
    pub(super) fn take_unknown(&mut self, name: Cow<'q, str>, text: Cow<'q, str>) {
        self.unknown.push((name, text));
    }

    /// Counts a value that is none.
    pub(super) fn drop_value(&mut self) {
        self.dropped += 1;
    }

    fn fill(&mut self, pid: &Pid, value: f64) {
        let kept = match (self.slots[pid.slot], pid.combine) {
            (Some((_, precedence)), _) if precedence > pid.precedence => return,
            (Some((before, precedence)), Combine::Max) if precedence == pid.precedence => value.max(before),
            _ => value,
        };
        self.slots[pid.slot] = Some((kept, pid.precedence));
    }

    fn is_position(&self, slot: usize) -> bool {
        let position = self.catalogue.position();
        position.is_some_and(|at| slot == at.latitude || slot == at.longitude)
    }

    /// Ends the request: the position is judged as a pair, derived fields are
    /// computed, and all is put in order.
    pub(super) fn settle(mut self) -> Settled {
        let position_dropped = self.judge_position();
        self.derive();
        let names = self.catalogue.fields().iter().map(|field| field.name);
        let filled = |(name, slot): (_, Option<(f64, u8)>)| slot.map(|(value, _)| (name, value));
        Settled {
            fields: names.zip(self.slots).filter_map(filled).collect(),
            unknown: settle_unknown(self.unknown),
            position_dropped,
            dropped_values_count: self.dropped,
        }
    }

    /// Leaves out a position of 0,0, which is what a phone without a fix sends,
    /// and one of which a half is off the globe. True for the latter.
    fn judge_position(&mut self) -> bool {
        let Some(at) = self.catalogue.position() else {
            return false;
        };
        let pair = (self.slots[at.latitude], self.slots[at.longitude]);
        let halved = pair.0.is_none() || pair.1.is_none();
        let impossible = self.off_globe && halved;
        let no_fix = matches!(pair, (Some((0.0, _)), Some((0.0, _))));
        if impossible || no_fix {
            self.dropped += u32::from(pair.0.is_some()) + u32::from(pair.1.is_some());
            self.slots[at.latitude] = None;
            self.slots[at.longitude] = None;
        }
        impossible
    }

    fn derive(&mut self) {
        for derived in self.catalogue.derived() {
            if self.slots[derived.slot].is_none() {
                let value = self.computed(&derived.rule).filter(|value| value.is_finite());
                self.slots[derived.slot] = value.map(|value| (value + 0.0, 0));
            }
        }
    }

    fn computed(&self, rule: &Rule) -> Option<f64> {
        let value = |slot: usize| self.slots[slot].map(|(value, _)| value);
        match rule {
            Rule::Sum(sources, convert) => {
                let sum = sources.iter().map(|&slot| value(slot)).sum::<Option<f64>>();
                sum.map(convert)
            }
            Rule::PercentOfTank(source) => {
                value(*source).map(|percent| percent / 100.0 * self.catalogue.tank_gallons())
            }
            Rule::IsPositive(source) => value(*source).map(|value| f64::from(value > 0.0)),
        }
    }
}

impl Settled {
    pub(super) fn unknown_params_count(&self) -> u32 {
        u32::try_from(self.unknown.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn into_reading(self, time_ms: i64) -> Reading {
        Reading {
            time_ms,
            fields: self.fields,
            unknown: self.unknown,
            position_dropped: self.position_dropped,
        }
    }
}

/// The number a text stands for; `None` for what is not one, or not finite.
pub(super) fn number(text: &str) -> Option<f64> {
    let number: f64 = text.trim().parse().ok()?;
    (number.abs() < OVERFLOW).then_some(number)
}

/// The PID that is `key` from byte `start` on, in lower case and without leading
/// zeros.
pub(super) fn normal_pid(key: Cow<'_, str>, start: usize) -> Cow<'_, str> {
    let hex = &key[start..];
    let zeros = hex.bytes().take_while(|&byte| byte == b'0').count();
    let start = start + zeros.min(hex.len().saturating_sub(1));
    match key {
        Cow::Borrowed(key) if !key[start..].bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Cow::Borrowed(&key[start..])
        }
        key => Cow::Owned(key[start..].to_ascii_lowercase()),
    }
}

/// Sorts by PID and keeps one text of each: the last that is a number, as for
/// known PIDs, else the last.
fn settle_unknown(mut sent: Vec<(Cow<'_, str>, Cow<'_, str>)>) -> Vec<(String, String)> {
    sent.sort_by(|a, b| a.0.cmp(&b.0));
    sent.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same && (number(&later.1).is_some() || number(&kept.1).is_none()) {
            std::mem::swap(&mut later.1, &mut kept.1);
        }
        same
    });
    sent.into_iter().map(|(pid, text)| (pid.into_owned(), text.into_owned())).collect()
}
