//! `plugins.toml`: the host's limits for each slot, and what each plugin is
//! configured with. What a plugin's setting means is the plugin's business.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use toml::{Table, Value};

use super::engine::{MAX_MEMORY_MB, MAX_POOL_SIZE};
use super::error::LONGEST_PROBLEM;
use super::pool::bounded;
use super::set::PluginSet;
use super::{Slot, sha256_hex};

/// What the host grants a slot's plugin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// For one call; making and configuring an instance has as much again.
    pub deadline: Duration,
    /// Linear memory of one instance.
    pub memory_bytes: usize,
    /// Size of the component file.
    pub component_bytes: u64,
    /// Calls that one instance answers before another takes its place.
    pub recycle_after: u64,
    /// Instances at work at the same time.
    pub pool_size: usize,
    /// Failed calls in a row (of a trip calculator: failed trips in a row)
    /// after which the slot goes back to its predecessor.
    pub failures_before_rollback: u32,
}

/// One slot's part of `plugins.toml`, complete with defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotSettings {
    pub(super) limits: Limits,
    /// For `configure`, by key.
    pub(super) values: BTreeMap<String, String>,
    /// What the operator set, as JSON with sorted keys: the same settings are
    /// the same text, however the file is laid out.
    canonical: String,
}

impl SlotSettings {
    /// SHA-256 of the settings, in hex. It depends on what is set, not on how
    /// the file is laid out, nor on this program's defaults.
    pub fn digest(&self) -> String {
        sha256_hex(self.canonical.as_bytes())
    }

    /// What the operator set, as JSON: what [`SlotSettings::from_stored`] reads.
    pub fn as_stored(&self) -> &str {
        &self.canonical
    }

    /// The same as a JSON value.
    pub fn as_json(&self) -> serde_json::Value {
        serde_json::from_str(&self.canonical).unwrap_or_else(|_| json!({}))
    }

    /// Settings that were stored, complete with today's defaults.
    ///
    /// # Errors
    /// What is stored is not for this version of the program.
    pub fn from_stored(slot: Slot, text: &str) -> Result<Self, String> {
        let told = |error: serde_json::Error| format!("the stored settings cannot be used: {error}");
        match slot {
            Slot::TripCalculator => {
                serde_json::from_str::<CalculatorTable>(text).map_err(told)?.complete(slot)
            }
            Slot::UsageTier | Slot::SamplingPolicy => {
                serde_json::from_str::<PolicyTable>(text).map_err(told)?.complete(slot)
            }
        }
    }

    /// The largest component that the slot takes: bytes.
    pub fn largest_component(&self) -> u64 {
        self.limits.component_bytes
    }

    /// Refuses a component that is larger than the slot takes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_size(&self, bytes: u64) -> Result<(), String> {
        let limit = self.limits.component_bytes;
        if bytes <= limit {
            return Ok(());
        }
        let (size, limit) = (bytes.div_ceil(1 << 20), limit >> 20);
        Err(format!(
            "is {size} MB, more than {limit} MB: raise component_mb in plugins.toml if it is meant to be"
        ))
    }
}

/// All of `plugins.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginSettings {
    pub(super) sampling_policy: SlotSettings,
    pub(super) usage_tier: SlotSettings,
    pub(super) trip_calculator: SlotSettings,
}

impl PluginSettings {
    /// One slot's part.
    pub fn of(&self, slot: Slot) -> &SlotSettings {
        match slot {
            Slot::SamplingPolicy => &self.sampling_policy,
            Slot::UsageTier => &self.usage_tier,
            Slot::TripCalculator => &self.trip_calculator,
        }
    }

    /// What a plugin set is set to.
    pub fn in_force(plugins: &PluginSet) -> Self {
        Self {
            sampling_policy: plugins.settings(Slot::SamplingPolicy).clone(),
            usage_tier: plugins.settings(Slot::UsageTier).clone(),
            trip_calculator: plugins.settings(Slot::TripCalculator).clone(),
        }
    }

    /// Reads the text of `plugins.toml`; an empty text is all defaults.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The parser's errors quote the line, which may be all of a large file.
        Self::read(text).map_err(|problem| bounded(&problem, LONGEST_PROBLEM))
    }

    fn read(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        Ok(Self {
            sampling_policy: file.sampling_policy.complete(Slot::SamplingPolicy)?,
            usage_tier: file.usage_tier.complete(Slot::UsageTier)?,
            trip_calculator: file.trip_calculator.complete(Slot::TripCalculator)?,
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct File {
    sampling_policy: PolicyTable,
    usage_tier: PolicyTable,
    trip_calculator: CalculatorTable,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct PolicyTable {
    deadline_ms: Option<u64>,
    memory_mb: Option<u64>,
    component_mb: Option<u64>,
    recycle_after: Option<u64>,
    pool_size: Option<u64>,
    failures_before_rollback: Option<u64>,
    settings: Table,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct CalculatorTable {
    deadline_ms: Option<u64>,
    memory_mb: Option<u64>,
    component_mb: Option<u64>,
    failures_before_rollback: Option<u64>,
    settings: Table,
}

impl PolicyTable {
    fn complete(self, slot: Slot) -> Result<SlotSettings, String> {
        let at = Place { slot };
        let limits = Limits {
            deadline: at.deadline(self.deadline_ms, 50)?,
            memory_bytes: at.memory(self.memory_mb)?,
            component_bytes: at.component(self.component_mb)?,
            recycle_after: at.ranged("recycle_after", self.recycle_after, 10_000, 1..=u64::MAX)?,
            pool_size: at.pool_size(self.pool_size)?,
            failures_before_rollback: at.failures(self.failures_before_rollback)?,
        };
        let values = at.values(self.settings)?;
        let set = [
            ("deadline_ms", self.deadline_ms),
            ("memory_mb", self.memory_mb),
            ("component_mb", self.component_mb),
            ("recycle_after", self.recycle_after),
            ("pool_size", self.pool_size),
            ("failures_before_rollback", self.failures_before_rollback),
        ];
        Ok(SlotSettings { limits, canonical: canonical(&set, &values), values })
    }
}

impl CalculatorTable {
    fn complete(self, slot: Slot) -> Result<SlotSettings, String> {
        let at = Place { slot };
        let limits = Limits {
            deadline: at.deadline(self.deadline_ms, 2000)?,
            memory_bytes: at.memory(self.memory_mb)?,
            component_bytes: at.component(self.component_mb)?,
            // A fresh instance for each call: a trip's data is large beside
            // the cost of an instance, and nothing of it may stay behind.
            recycle_after: 1,
            pool_size: at.pool_size(None)?,
            failures_before_rollback: at.failures(self.failures_before_rollback)?,
        };
        let values = at.values(self.settings)?;
        let set = [
            ("deadline_ms", self.deadline_ms),
            ("memory_mb", self.memory_mb),
            ("component_mb", self.component_mb),
            ("failures_before_rollback", self.failures_before_rollback),
        ];
        Ok(SlotSettings { limits, canonical: canonical(&set, &values), values })
    }
}

fn canonical(limits: &[(&str, Option<u64>)], values: &BTreeMap<String, String>) -> String {
    let set = limits.iter().filter_map(|(key, value)| Some((*key, json!((*value)?))));
    let mut settings: BTreeMap<_, _> = set.collect();
    if !values.is_empty() {
        settings.insert("settings", json!(values));
    }
    json!(settings).to_string()
}

/// One slot's table: turns its entries into limits, or into an error that
/// says where it is wrong.
struct Place {
    slot: Slot,
}

impl Place {
    fn deadline(&self, ms: Option<u64>, default: u64) -> Result<Duration, String> {
        let ms = self.ranged("deadline_ms", ms, default, 1..=60_000)?;
        Ok(Duration::from_millis(ms))
    }

    fn memory(&self, mb: Option<u64>) -> Result<usize, String> {
        let mb = self.ranged("memory_mb", mb, 16, 1..=MAX_MEMORY_MB)?;
        Ok(usize::try_from(mb << 20).unwrap_or(usize::MAX))
    }

    fn component(&self, mb: Option<u64>) -> Result<u64, String> {
        Ok(self.ranged("component_mb", mb, 64, 1..=1024)? << 20)
    }

    fn pool_size(&self, size: Option<u64>) -> Result<usize, String> {
        let size = self.ranged("pool_size", size, 8, 1..=MAX_POOL_SIZE)?;
        Ok(usize::try_from(size).unwrap_or(1))
    }

    fn failures(&self, count: Option<u64>) -> Result<u32, String> {
        let count = self.ranged("failures_before_rollback", count, 5, 1..=1000)?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    fn ranged(
        &self,
        key: &str,
        value: Option<u64>,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<u64, String> {
        let value = value.unwrap_or(default);
        if range.contains(&value) {
            return Ok(value);
        }
        let (slot, low, high) = (self.slot, range.start(), range.end());
        Err(format!("[{slot}] {key} is {value}; it takes {low} to {high}"))
    }

    fn values(&self, settings: Table) -> Result<BTreeMap<String, String>, String> {
        settings
            .into_iter()
            .map(|(key, value)| match text(&value) {
                Some(text) => Ok((key, text)),
                None => Err(format!(
                    "[{}.settings] {key} is a {}; it takes a text, a number, a flag or a list of them",
                    self.slot,
                    value.type_str()
                )),
            })
            .collect()
    }
}

/// A setting as the text that `configure` takes; a list is its entries with
/// commas between them.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Array(entries) => {
            let flat = entries.iter().all(|entry| !entry.is_array());
            let texts: Option<Vec<String>> = entries.iter().map(text).collect();
            texts.filter(|_| flat).map(|texts| texts.join(","))
        }
        Value::Datetime(_) | Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[test]
    fn an_empty_file_is_all_defaults() {
        let settings = PluginSettings::parse("").expect("defaults");
        let policy = settings.sampling_policy.limits;
        assert_eq!(policy.deadline, Duration::from_millis(50));
        assert_eq!(policy.memory_bytes, 16 << 20);
        assert_eq!((policy.recycle_after, policy.pool_size), (10_000, 8));
        let calculator = settings.trip_calculator.limits;
        assert_eq!(calculator.deadline, Duration::from_secs(2));
        assert_eq!(calculator.recycle_after, 1);
    }

    #[test]
    fn settings_reach_the_plugin_as_text() {
        let text = "[sampling-policy.settings]\n\
            new_user_days = 30\nnew_user_rate = 0.25\nflags = ['a', 'b']\nstrict = true";
        let values = PluginSettings::parse(text).expect("valid").sampling_policy.values;
        let expected =
            [("flags", "a,b"), ("new_user_days", "30"), ("new_user_rate", "0.25"), ("strict", "true")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(values, BTreeMap::from(expected));
    }

    #[test]
    fn the_layout_of_the_file_does_not_change_the_digest() {
        let digest = |text: &str| PluginSettings::parse(text).expect("valid").usage_tier.digest();
        let one = digest("[usage-tier.settings]\na = 1\nb = 2");
        let other = digest("# the other way round\n[usage-tier]\nsettings = { b = 2, a = '1' }");
        assert_eq!(one, other);
        assert_ne!(one, digest(""));
    }

    #[test]
    fn stored_settings_come_back_as_they_were() {
        let text = "[usage-tier]\ndeadline_ms = 70\n[usage-tier.settings]\nflags = ['a', 'b']\n\
            [trip-calculator]\nfailures_before_rollback = 3\n";
        let settings = PluginSettings::parse(text).expect("valid");
        for slot in Slot::ALL {
            let stored = settings.of(slot).as_stored();
            assert_eq!(SlotSettings::from_stored(slot, stored).as_ref(), Ok(settings.of(slot)));
        }
        let error =
            SlotSettings::from_stored(Slot::TripCalculator, "{\"pool_size\": 1}").expect_err("unknown");
        assert!(error.contains("pool_size"), "{error}");
    }

    #[test]
    fn a_long_line_does_not_make_its_error_long() {
        let error = PluginSettings::parse(&"x".repeat(100_000)).expect_err("invalid");
        assert!(error.starts_with("TOML parse error at line 1") && error.len() <= LONGEST_PROBLEM, "{error}");
    }

    #[test]
    fn errors_name_the_place() {
        let error = |text: &str| PluginSettings::parse(text).expect_err("invalid");
        assert_snapshot!(error("[sampling]\n"), @r"
        TOML parse error at line 1, column 2
          |
        1 | [sampling]
          |  ^^^^^^^^
        unknown field `sampling`, expected one of `sampling-policy`, `usage-tier`, `trip-calculator`
        ");
        assert_snapshot!(error("[usage-tier]\ndeadline = 5\n"), @r"
        TOML parse error at line 2, column 1
          |
        2 | deadline = 5
          | ^^^^^^^^
        unknown field `deadline`, expected one of `deadline_ms`, `memory_mb`, `component_mb`, `recycle_after`, `pool_size`, `failures_before_rollback`, `settings`
        ");
        assert_snapshot!(
            error("[usage-tier]\ndeadline_ms = 0\n"),
            @"[usage-tier] deadline_ms is 0; it takes 1 to 60000"
        );
        assert_snapshot!(
            error("[usage-tier.settings.heavy]\nmiles = 1\n"),
            @"[usage-tier.settings] heavy is a table; it takes a text, a number, a flag or a list of them"
        );
    }
}
