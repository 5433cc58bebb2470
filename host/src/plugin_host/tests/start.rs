//! What the host says of files that it cannot start with.

use insta::assert_snapshot;

use super::binary::component;
use super::*;

/// The error of a start with this table for the policy, and these files in
/// place of the guests.
async fn refusal(policy_settings: &str, files: &[(Slot, Option<&[u8]>)]) -> String {
    let settings = format!("[usage-tier]\n{PATIENT}\n[sampling-policy]\n{PATIENT}\n{policy_settings}\n");
    let dir = plugin_dir(&settings);
    for (slot, content) in files {
        let file = dir.path().join(format!("{slot}.wasm"));
        match content {
            Some(content) => std::fs::write(file, content).expect("write"),
            None => std::fs::remove_file(file).expect("remove"),
        }
    }
    let error = match first_start(dir.path()).await {
        Ok(_) => panic!("the host starts"),
        Err(error) => error.to_string(),
    };
    error.replace(&dir.path().display().to_string(), "plugins")
}

#[tokio::test]
async fn all_unfit_files_are_told_at_once() {
    let files: [(Slot, Option<&[u8]>); 3] = [
        (Slot::TripCalculator, None),
        (Slot::UsageTier, Some(b"\0asm\x01\0\0\0")),
        (Slot::SamplingPolicy, Some(b"(component)\n")),
    ];
    assert_snapshot!(refusal("", &files).await, @r"
    no plugin set to start with:
      trip-calculator (plugins/trip-calculator.wasm):
        is missing
      usage-tier (plugins/usage-tier.wasm):
        is a core module, not a component: build it for the target wasm32-wasip2
      sampling-policy (plugins/sampling-policy.wasm):
        is a text, not a component: it must be the binary that a build makes
    The plugins of this repository are built by: just build-plugins
    ");
}

#[tokio::test]
async fn a_tier_that_cannot_judge_a_vehicle_without_trips_is_refused() {
    let dir = plugin_dir(&format!("[usage-tier]\n{PATIENT}\nsettings = {{ in_call = \"divide\" }}\n"));
    let refusal = first_start(dir.path()).await.map(drop).expect_err("unfit").to_string();
    assert!(refusal.contains("fails a trial call of `classify`: "), "{refusal}");
}

#[tokio::test]
async fn cut_off_and_foreign_files_are_told_apart() {
    let cut_off = &component("wasi:cli/environment@0.2.0", None, &[])[..20];
    let files: [(Slot, Option<&[u8]>); 3] = [
        (Slot::TripCalculator, Some(cut_off)),
        (Slot::UsageTier, Some(b"")),
        (Slot::SamplingPolicy, Some(b"\x7fELF\0\0\0\0")),
    ];
    assert_snapshot!(refusal("", &files).await, @r"
    no plugin set to start with:
      trip-calculator (plugins/trip-calculator.wasm):
        is not a valid component, or cut off: unexpected end-of-file (at offset 0xf): build or copy it again
      usage-tier (plugins/usage-tier.wasm):
        is empty: its build failed, or it is not written yet
      sampling-policy (plugins/sampling-policy.wasm):
        is not WebAssembly: it does not start with \0asm
    The plugins of this repository are built by: just build-plugins
    ");
}

#[tokio::test]
async fn a_component_of_another_world_is_refused_by_its_interfaces() {
    let tier = std::fs::read(guest(Slot::UsageTier)).expect("read");
    let http = component("wasi:http/types@0.2.0", None, &[]);
    let newer = ["volttracker:plugins/identity@0.1.0", "volttracker:plugins/trips@0.2.0"];
    let newer = component("volttracker:plugins/readings@0.2.0", None, &newer);
    let files: [(Slot, Option<&[u8]>); 3] = [
        (Slot::SamplingPolicy, Some(&tier)),
        (Slot::UsageTier, Some(&http)),
        (Slot::TripCalculator, Some(&newer)),
    ];
    assert_snapshot!(refusal("", &files).await, @r"
    no plugin set to start with:
      trip-calculator (plugins/trip-calculator.wasm):
        forbidden import: volttracker:plugins/readings@0.2.0
        a plugin for trip-calculator may import volttracker:plugins/readings@0.1.0, volttracker:plugins/progress@0.1.0, WASI 0.2 (wasi:cli, wasi:clocks, wasi:filesystem, wasi:io, wasi:random, wasi:sockets)
        incomplete export: volttracker:plugins/identity@0.1.0 has no function `describe`
        incomplete export: volttracker:plugins/identity@0.1.0 has no function `configure`
        export of another version: volttracker:plugins/trips@0.2.0, not volttracker:plugins/trips@0.1.0
        missing export: volttracker:plugins/live@0.1.0
        missing export: volttracker:plugins/weather@0.1.0
        missing export: volttracker:plugins/charging@0.1.0
        missing export: volttracker:plugins/costs@0.1.0
        missing export: volttracker:plugins/soc-floor@0.1.0
        missing export: volttracker:plugins/range@0.1.0
        missing export: volttracker:plugins/routes@0.1.0
        build it for the world `trip-calculator` of volttracker:plugins@0.1.0: see wit/worlds.wit
      usage-tier (plugins/usage-tier.wasm):
        forbidden import: wasi:http/types@0.2.0
        a plugin for usage-tier may import WASI 0.2 (wasi:cli, wasi:clocks, wasi:filesystem, wasi:io, wasi:random, wasi:sockets)
        missing export: volttracker:plugins/identity@0.1.0
        missing export: volttracker:plugins/tiers@0.1.0
        build it for the world `usage-tier` of volttracker:plugins@0.1.0: see wit/worlds.wit
      sampling-policy (plugins/sampling-policy.wasm):
        missing export: volttracker:plugins/sampling@0.1.0
        it is a plugin for the slot usage-tier
    The plugins of this repository are built by: just build-plugins
    ");
}

#[tokio::test]
async fn interfaces_of_another_shape_are_refused() {
    let exports = ["volttracker:plugins/identity@0.1.0", "volttracker:plugins/tiers@0.1.0"];
    let environment = "wasi:cli/environment@0.2.0";
    let imports = component(environment, Some("get-arguments"), &exports);
    let hollow = component(
        environment,
        None,
        &["volttracker:plugins/identity@0.1.0", "volttracker:plugins/sampling@0.1.0"],
    );
    let files: [(Slot, Option<&[u8]>); 2] =
        [(Slot::UsageTier, Some(&imports)), (Slot::SamplingPolicy, Some(&hollow))];
    assert_snapshot!(refusal("", &files).await, @r"
    no plugin set to start with:
      usage-tier (plugins/usage-tier.wasm):
        import of another type: component imports instance `wasi:cli/environment@0.2.0`, but a matching implementation was not found in the linker: instance export `get-arguments` has the wrong type: type mismatch with results: expected 1-tuple, found 0-tuple
        incomplete export: volttracker:plugins/identity@0.1.0 has no function `describe`
        incomplete export: volttracker:plugins/identity@0.1.0 has no function `configure`
        incomplete export: volttracker:plugins/tiers@0.1.0 has no function `classify`
        build it for the world `usage-tier` of volttracker:plugins@0.1.0: see wit/worlds.wit
      sampling-policy (plugins/sampling-policy.wasm):
        incomplete export: volttracker:plugins/identity@0.1.0 has no function `describe`
        incomplete export: volttracker:plugins/identity@0.1.0 has no function `configure`
        incomplete export: volttracker:plugins/sampling@0.1.0 has no function `decide`
        build it for the world `sampling-policy` of volttracker:plugins@0.1.0: see wit/worlds.wit
    The plugins of this repository are built by: just build-plugins
    ");
}

#[tokio::test]
async fn exports_of_another_type_are_refused() {
    let mistyped = std::fs::read(guests().join("guest_mistyped_tier.wasm")).expect("read");
    let files: [(Slot, Option<&[u8]>); 1] = [(Slot::UsageTier, Some(&mistyped))];
    assert_snapshot!(refusal("", &files).await, @r"
    no plugin set to start with:
      usage-tier (plugins/usage-tier.wasm):
        export of another type: identity.describe: type mismatch with results: expected `record` found `string`
        export of another type: identity.configure: type mismatch with parameters: expected `tuple` found `string`
        export of another type: tiers.classify: type mismatch with parameters: expected `record` found `u32`
        build it against volttracker:plugins@0.1.0 as it is in wit/
    The plugins of this repository are built by: just build-plugins
    ");
}

#[tokio::test]
async fn a_setting_that_the_plugin_does_not_know_is_refused() {
    let settings = "settings = { new_user_days = 30 }";
    assert_snapshot!(refusal(settings, &[]).await, @r"
    no plugin set to start with:
      sampling-policy (plugins/sampling-policy.wasm):
        cannot be configured: no setting `new_user_days`; there are rate, habit, in_configure and in_call
    The plugins of this repository are built by: just build-plugins
    ");
}

#[tokio::test]
async fn a_plugin_that_breaks_while_it_is_configured_is_refused() {
    assert_snapshot!(refusal("settings = { habit = 'looping' }", &[]).await, @r"
    no plugin set to start with:
      sampling-policy (plugins/sampling-policy.wasm):
        cannot be configured: it exceeded its deadline: still computing after 400 ms (deadline_ms in plugins.toml)
    The plugins of this repository are built by: just build-plugins
    ");
    let trapped = refusal("settings = { habit = 'trapping' }", &[]).await;
    assert!(trapped.contains("told to trap"), "{trapped}");
}

#[tokio::test]
async fn a_plugin_that_remembers_is_refused() {
    assert_snapshot!(refusal("settings = { habit = 'impure' }", &[]).await, @r#"
    no plugin set to start with:
      sampling-policy (plugins/sampling-policy.wasm):
        answers `decide` differently when asked the same again, first {"probability":0.5,"reason":"call_1"}, then {"probability":0.5,"reason":"call_2"}: plugins must be pure
    The plugins of this repository are built by: just build-plugins
    "#);
}

#[tokio::test]
async fn a_component_that_is_too_large_is_refused() {
    let large = vec![0; (1 << 20) + 1];
    let files: [(Slot, Option<&[u8]>); 1] = [(Slot::SamplingPolicy, Some(&large))];
    assert_snapshot!(refusal("component_mb = 1", &files).await, @r"
    no plugin set to start with:
      sampling-policy (plugins/sampling-policy.wasm):
        is 2 MB, more than 1 MB: raise component_mb in plugins.toml if it is meant to be
    The plugins of this repository are built by: just build-plugins
    ");
}

#[tokio::test]
async fn a_plugin_that_needs_more_memory_than_it_may_have_is_refused() {
    assert_snapshot!(refusal("memory_mb = 1", &[]).await, @r"
    no plugin set to start with:
      sampling-policy (plugins/sampling-policy.wasm):
        cannot be started: it exceeded its memory limit: wanted 2 MB of linear memory, may have 1 MB (memory_mb in plugins.toml)
    The plugins of this repository are built by: just build-plugins
    ");
}

#[tokio::test]
async fn settings_that_the_host_does_not_know_are_refused() {
    assert_snapshot!(refusal("pool = 1", &[]).await, @r"
    cannot use the plugin settings in plugins/plugins.toml: TOML parse error at line 5, column 1
      |
    5 | pool = 1
      | ^^^^
    unknown field `pool`, expected one of `deadline_ms`, `memory_mb`, `component_mb`, `recycle_after`, `pool_size`, `failures_before_rollback`, `settings`
    ");
}
