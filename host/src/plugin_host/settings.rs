//! `plugins.toml`: the host's limits for each slot, and what each plugin is
//! configured with. What a plugin's setting means is the plugin's business.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use toml::{Table, Value};

use super::engine::{MAX_MEMORY_MB, MAX_POOL_SIZE};
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
}

/// One slot's part of `plugins.toml`, complete with defaults.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SlotSettings {
    pub(super) limits: Limits,
    /// For `configure`, by key.
    pub(super) values: BTreeMap<String, String>,
}

impl SlotSettings {
    /// SHA-256 of the values as JSON with sorted keys: the same settings have
    /// the same digest, however the file is laid out.
    pub(super) fn digest(&self) -> String {
        let canonical = serde_json::json!(self.values).to_string();
        sha256_hex(canonical.as_bytes())
    }
}

/// All of `plugins.toml`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PluginSettings {
    pub(super) sampling_policy: SlotSettings,
    pub(super) usage_tier: SlotSettings,
    pub(super) trip_calculator: SlotSettings,
}

impl PluginSettings {
    /// One slot's part.
    pub(super) fn of(&self, slot: Slot) -> &SlotSettings {
        match slot {
            Slot::SamplingPolicy => &self.sampling_policy,
            Slot::UsageTier => &self.usage_tier,
            Slot::TripCalculator => &self.trip_calculator,
        }
    }
}

/// Reads the text of `plugins.toml`; an empty text is all defaults. The error
/// names the place.
pub(super) fn parse(text: &str) -> Result<PluginSettings, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    Ok(PluginSettings {
        sampling_policy: file.sampling_policy.complete(Slot::SamplingPolicy)?,
        usage_tier: file.usage_tier.complete(Slot::UsageTier)?,
        trip_calculator: file.trip_calculator.complete(Slot::TripCalculator)?,
    })
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
    settings: Table,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct CalculatorTable {
    deadline_ms: Option<u64>,
    memory_mb: Option<u64>,
    component_mb: Option<u64>,
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
        };
        let values = at.values(self.settings)?;
        Ok(SlotSettings { limits, values })
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
        };
        let values = at.values(self.settings)?;
        Ok(SlotSettings { limits, values })
    }
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
        let settings = parse("").expect("defaults");
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
        let values = parse(text).expect("valid").sampling_policy.values;
        let expected =
            [("flags", "a,b"), ("new_user_days", "30"), ("new_user_rate", "0.25"), ("strict", "true")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(values, BTreeMap::from(expected));
    }

    #[test]
    fn the_layout_of_the_file_does_not_change_the_digest() {
        let digest = |text: &str| parse(text).expect("valid").usage_tier.digest();
        let one = digest("[usage-tier.settings]\na = 1\nb = 2");
        let other = digest("# the other way round\n[usage-tier]\nsettings = { b = 2, a = '1' }");
        assert_eq!(one, other);
        assert_ne!(one, digest(""));
    }

    #[test]
    fn errors_name_the_place() {
        let error = |text: &str| parse(text).expect_err("invalid");
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
        unknown field `deadline`, expected one of `deadline_ms`, `memory_mb`, `component_mb`, `recycle_after`, `pool_size`, `settings`
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
