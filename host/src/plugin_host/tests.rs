//! The plugin runtime against real components, hostile ones among them. The
//! guests are in `tests/guests`.

mod binary;
mod calculator;
mod calls;
mod compiling;
mod hostile;
mod start;
mod workbench;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use tempfile::TempDir;

use super::code_cache::{self, Origin};
use super::compiler::Compiling;
use super::engine::Fuel;
use super::imports::{EventFields, FieldValue};
use super::load::{self, Loaded};
use super::world::SamplingPolicy;
use super::{Facts, PluginHost, PluginSettings, Slot};
use crate::activation::tests::first_start;

/// Any moment.
const AT_MS: i64 = 1_700_000_000_000;

/// Long enough for an honest call on a busy machine.
const PATIENT: &str = "deadline_ms = 400";

/// The guests, built on first use. They have a target directory of their own:
/// the one of the running `cargo test` is locked.
fn guests() -> &'static Path {
    static GUESTS: OnceLock<PathBuf> = OnceLock::new();
    GUESTS.get_or_init(|| {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let target = workspace.join("target/guests");
        let status = Command::new(env!("CARGO"))
            .current_dir(&workspace)
            .args(["build", "--quiet", "--profile", "component"])
            .args(["--target", "wasm32-wasip2", "--target-dir"])
            .arg(&target)
            .args(["-p", "guest-wayward-policy", "-p", "guest-plain-tier"])
            .args(["-p", "guest-plain-calculator", "-p", "guest-mistyped-tier"])
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the guests do not build");
        target.join("wasm32-wasip2/component")
    })
}

fn guest(slot: Slot) -> PathBuf {
    guests().join(match slot {
        Slot::SamplingPolicy => "guest_wayward_policy.wasm",
        Slot::UsageTier => "guest_plain_tier.wasm",
        Slot::TripCalculator => "guest_plain_calculator.wasm",
    })
}

/// A `PLUGIN_DIR` with all three guests and these settings.
pub(crate) fn plugin_dir(settings: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    for slot in Slot::ALL {
        let file = dir.path().join(format!("{slot}.wasm"));
        std::fs::copy(guest(slot), file).expect("copy a guest");
    }
    std::fs::write(dir.path().join("plugins.toml"), settings).expect("write settings");
    dir
}

/// A host with all three guests and much patience.
async fn host() -> PluginHost {
    let settings = format!("[sampling-policy]\n{PATIENT}\n[usage-tier]\n{PATIENT}\n");
    let dir = plugin_dir(&settings);
    first_start(dir.path()).await.expect("a fit set")
}

/// The wayward policy alone, with these entries in its table.
async fn policy(entries: &str) -> Loaded<SamplingPolicy> {
    let text = format!("[sampling-policy]\n{entries}\n");
    let settings = PluginSettings::parse(&text).expect("settings");
    let bytes: Arc<[u8]> = std::fs::read(guest(Slot::SamplingPolicy)).expect("read").into();
    let engine = super::engine::start(Fuel::NotCounted).expect("engine");
    let compiled = async {
        let compiled = Compiling::InPlace.compile(&engine, Arc::clone(&bytes)).await?;
        Ok((code_cache::machine_code(&engine, &compiled).expect("code"), Origin::Compiler))
    };
    let loaded = load::load(&bytes, settings.sampling_policy, compiled).await;
    loaded.unwrap_or_else(|unready| panic!("{:?}", unready.unfit.problems))
}

fn facts(operation: &str) -> Facts {
    Facts {
        operation: operation.into(),
        success: true,
        duration_ms: 1.0,
        slow_threshold_ms: 1000.0,
        base_rate: 0.05,
        business_flags: vec![],
        usage_tier: None,
        account_age_days: None,
    }
}

/// An event with one field.
struct Failed;

impl EventFields for Failed {
    fn get(&self, path: &str) -> Option<FieldValue> {
        (path == "error.code").then(|| FieldValue::Text("E200".into()))
    }
}

fn event() -> Arc<dyn EventFields> {
    Arc::new(Failed)
}

#[test]
fn the_wasmtime_version_in_events_is_the_one_that_is_linked() {
    let lock = include_str!("../../../Cargo.lock");
    let locked = format!("name = \"wasmtime\"\nversion = \"{}\"\n", super::WASMTIME_VERSION);
    assert!(lock.contains(&locked), "set WASMTIME_VERSION to the version in Cargo.lock");
}
