//! Files and components that must not get into a slot, and what their authors
//! are told; and habits that show only later, which every call contains.

use insta::assert_snapshot;

use super::super::error::{Fault, PluginErrorKind};
use super::super::pool::Pool;
use super::super::workbench::Workbench;
use super::binary;
use super::*;

/// Where a component is looked for in the messages below.
const FILE: &str = "plugin.wasm";

/// Why this file is not fit for a slot, with these entries in the slot's table.
async fn refusal_in(slot: Slot, entries: &str, write: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (file, settings) = (dir.path().join(FILE), dir.path().join("plugins.toml"));
    std::fs::write(&settings, format!("[{slot}]\n{PATIENT}\n{entries}\n")).expect("write settings");
    write(&file);
    let workbench = Workbench::open(Some(&settings), Vec::new()).await.expect("workbench");
    let refusal = workbench.check(Compiling::InPlace, slot, &file).await.expect_err("it is fit");
    refusal.to_string().replace(&dir.path().join("").display().to_string(), "")
}

async fn refusal(slot: Slot, component: &[u8]) -> String {
    refusal_in(slot, "", |file| std::fs::write(file, component).expect("write")).await
}

/// The wayward policy with these settings.
async fn policy_refusal(settings: &str) -> String {
    let settings = format!("settings = {{ {settings} }}");
    let copy = |file: &Path| std::fs::write(file, bytes(Slot::SamplingPolicy)).expect("write");
    refusal_in(Slot::SamplingPolicy, &settings, copy).await
}

fn bytes(slot: Slot) -> Vec<u8> {
    std::fs::read(guest(slot)).expect("a guest")
}

/// A component with other names in it, or another text: a real one, since all
/// lengths stay as they are.
fn rewritten(mut component: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut found = 0;
    for start in 0..=component.len() - from.len() {
        if component[start..].starts_with(from.as_bytes()) {
            component[start..start + from.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "no `{from}` in it");
    component
}

/// The wayward policy with a habit when it is asked who it is.
fn describing(habit: &str) -> Vec<u8> {
    let text = |habit: &str| format!("in describe: {habit:<19}");
    rewritten(bytes(Slot::SamplingPolicy), &text("nothing"), &text(habit))
}

#[tokio::test]
async fn a_refusal_says_which_way_a_candidate_failed() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join(FILE);
    let workbench = Workbench::open(None, Vec::new()).await.expect("workbench");
    for (habit, kind) in [
        ("panic", PluginErrorKind::Trapped),
        ("memory", PluginErrorKind::MemoryLimit),
        ("long_name", PluginErrorKind::Nonsense),
    ] {
        std::fs::write(&file, describing(habit)).expect("write");
        let refusal =
            workbench.check(Compiling::InPlace, Slot::SamplingPolicy, &file).await.expect_err("it is fit");
        assert_eq!(refusal.fault, Fault::Plugin(kind), "{habit}: {refusal}");
    }
    std::fs::write(&file, bytes(Slot::UsageTier)).expect("write");
    let refusal =
        workbench.check(Compiling::InPlace, Slot::SamplingPolicy, &file).await.expect_err("it is fit");
    assert_eq!(refusal.fault, Fault::Plugin(PluginErrorKind::Rejected), "{refusal}");
}

#[tokio::test]
async fn files_that_are_no_component() {
    let tier = bytes(Slot::UsageTier);
    let of = async |bytes: &[u8]| refusal(Slot::UsageTier, bytes).await;
    // Where exactly it is cut off depends on what compiled it.
    let half = of(&tier[..tier.len() / 2]).await;
    assert!(
        half.contains("is not a valid component, or cut off: ") && half.ends_with("build or copy it again"),
        "{half}"
    );
    assert_snapshot!(of(&tier[..6]).await, @r"
    usage-tier (plugin.wasm):
        is WebAssembly of an unknown version, or cut off: build or copy it again
    ");
    assert_snapshot!(of(b"").await, @r"
    usage-tier (plugin.wasm):
        is empty: its build failed, or it is not written yet
    ");
    assert_snapshot!(of("(component ;; naïve\n)".as_bytes()).await, @r"
    usage-tier (plugin.wasm):
        is a text, not a component: it must be the binary that a build makes
    ");
    assert_snapshot!(of(b"\0asm\x01\0\0\0").await, @r"
    usage-tier (plugin.wasm):
        is a core module, not a component: build it for the target wasm32-wasip2
    ");
    assert_snapshot!(of(b"\x7fELF\x02\x01\x01\0").await, @r"
    usage-tier (plugin.wasm):
        is not WebAssembly: it does not start with \0asm
    ");
    assert_snapshot!(refusal_in(Slot::UsageTier, "", |_| {}).await, @r"
    usage-tier (plugin.wasm):
        is missing
    ");
}

#[tokio::test]
async fn a_file_of_200_mb_is_not_even_read() {
    let large = |file: &Path| {
        let file = std::fs::File::create(file).expect("create");
        file.set_len(200 << 20).expect("a hole");
    };
    assert_snapshot!(refusal_in(Slot::UsageTier, "", large).await, @r"
    usage-tier (plugin.wasm):
        is 200 MB, more than 64 MB: raise component_mb in plugins.toml if it is meant to be
    ");
}

#[tokio::test]
async fn components_of_another_world() {
    assert_snapshot!(refusal(Slot::UsageTier, &bytes(Slot::SamplingPolicy)).await, @r"
    usage-tier (plugin.wasm):
        forbidden import: volttracker:plugins/wide-events@0.1.0
        a plugin for usage-tier may import WASI 0.2 (wasi:cli, wasi:clocks, wasi:filesystem, wasi:io, wasi:random, wasi:sockets)
        missing export: volttracker:plugins/tiers@0.1.0
        it is a plugin for the slot sampling-policy
    ");
    assert_snapshot!(refusal(Slot::TripCalculator, &bytes(Slot::UsageTier)).await, @r"
    trip-calculator (plugin.wasm):
        missing export: volttracker:plugins/trips@0.1.0
        missing export: volttracker:plugins/live@0.1.0
        missing export: volttracker:plugins/weather@0.1.0
        missing export: volttracker:plugins/charging@0.1.0
        missing export: volttracker:plugins/costs@0.1.0
        missing export: volttracker:plugins/soc-floor@0.1.0
        missing export: volttracker:plugins/range@0.1.0
        missing export: volttracker:plugins/routes@0.1.0
        it is a plugin for the slot usage-tier
    ");
}

#[tokio::test]
async fn a_component_of_another_version_of_the_contract() {
    let newer = rewritten(bytes(Slot::SamplingPolicy), "@0.1.0", "@0.2.0");
    assert_snapshot!(refusal(Slot::SamplingPolicy, &newer).await, @r"
    sampling-policy (plugin.wasm):
        forbidden import: volttracker:plugins/wide-events@0.2.0
        a plugin for sampling-policy may import volttracker:plugins/wide-events@0.1.0, WASI 0.2 (wasi:cli, wasi:clocks, wasi:filesystem, wasi:io, wasi:random, wasi:sockets)
        export of another version: volttracker:plugins/identity@0.2.0, not volttracker:plugins/identity@0.1.0
        export of another version: volttracker:plugins/sampling@0.2.0, not volttracker:plugins/sampling@0.1.0
        build it for the world `sampling-policy` of volttracker:plugins@0.1.0: see wit/worlds.wit
    ");
}

#[tokio::test]
async fn a_component_that_imports_from_another_package() {
    let curious = rewritten(bytes(Slot::UsageTier), "wasi:cli/environment", "acme:cli/environment");
    assert_snapshot!(refusal(Slot::UsageTier, &curious).await, @r"
    usage-tier (plugin.wasm):
        forbidden import: acme:cli/environment@0.2.6
        a plugin for usage-tier may import WASI 0.2 (wasi:cli, wasi:clocks, wasi:filesystem, wasi:io, wasi:random, wasi:sockets)
    ");
}

#[tokio::test]
async fn a_component_whose_functions_have_other_types() {
    let mistyped = std::fs::read(guests().join("guest_mistyped_tier.wasm")).expect("read");
    assert_snapshot!(refusal(Slot::UsageTier, &mistyped).await, @r"
    usage-tier (plugin.wasm):
        export of another type: identity.describe: type mismatch with results: expected `record` found `string`
        export of another type: identity.configure: type mismatch with parameters: expected `tuple` found `string`
        export of another type: tiers.classify: type mismatch with parameters: expected `record` found `u32`
        build it against volttracker:plugins@0.1.0 as it is in wit/
    ");
}

#[tokio::test]
async fn a_component_that_takes_the_memories_of_others() {
    let crowd =
        async |memories| refusal(Slot::UsageTier, &binary::crowded(bytes(Slot::UsageTier), memories)).await;
    assert_snapshot!(crowd(20).await, @r"
    usage-tier (plugin.wasm):
        is made of more than a plugin may be: The component transitively contains 21 Wasm linear memories, which exceeds the configured maximum of 2 in the pooling allocator
    ");
    assert_snapshot!(crowd(100).await, @r"
    usage-tier (plugin.wasm):
        is made of more than a plugin may be: The component transitively contains 103 core module instances, which exceeds the configured maximum of 64 in the pooling allocator
    ");
}

#[tokio::test]
async fn habits_in_describe() {
    let of = async |habit| refusal(Slot::SamplingPolicy, &describing(habit)).await;
    assert_snapshot!(of("panic").await, @r"
    sampling-policy (plugin.wasm):
        does not describe itself: it trapped: wasm trap: wasm `unreachable` instruction executed; it printed: thread '<unnamed>' (1) panicked at tests/guests/habits/src/lib.rs:28:20: | told to panic | note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
    ");
    assert_snapshot!(of("trap").await, @r"
    sampling-policy (plugin.wasm):
        does not describe itself: it trapped: wasm trap: wasm `unreachable` instruction executed
    ");
    assert_snapshot!(of("exit").await, @r"
    sampling-policy (plugin.wasm):
        does not describe itself: it trapped: ended itself with status 1
    ");
    assert_snapshot!(of("loop").await, @r"
    sampling-policy (plugin.wasm):
        does not describe itself: it exceeded its deadline: still computing after 400 ms (deadline_ms in plugins.toml)
    ");
    assert_snapshot!(of("sleep").await, @r"
    sampling-policy (plugin.wasm):
        does not describe itself: it exceeded its deadline: no answer within 400 ms (deadline_ms in plugins.toml)
    ");
    assert_snapshot!(of("recursion").await, @r"
    sampling-policy (plugin.wasm):
        does not describe itself: it trapped: wasm trap: call stack exhausted
    ");
    assert_snapshot!(of("memory").await, @r"
    sampling-policy (plugin.wasm):
        does not describe itself: it exceeded its memory limit: wanted 258 MB of linear memory, may have 16 MB (memory_mb in plugins.toml)
    ");
    assert_snapshot!(of("random_at_once").await, @r"
    sampling-policy (plugin.wasm):
        does not describe itself: it trapped: requested len 8589934592 exceeds limit 65536
    ");
    assert_snapshot!(of("long_name").await, @r#"
    sampling-policy (plugin.wasm):
        does not describe itself: name is "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", not a text of 1 to 64 characters
    "#);
    assert_snapshot!(of("two_lines").await, @r#"
    sampling-policy (plugin.wasm):
        does not describe itself: name is "a name\nand a line of the log", not a text of 1 to 64 characters
    "#);
}

#[tokio::test]
async fn habits_in_configure() {
    let of = async |habit| policy_refusal(&format!("in_configure = '{habit}'")).await;
    assert_snapshot!(of("panic").await, @r"
    sampling-policy (plugin.wasm):
        cannot be configured: it trapped: wasm trap: wasm `unreachable` instruction executed; it printed: thread '<unnamed>' (1) panicked at tests/guests/habits/src/lib.rs:28:20: | told to panic | note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
    ");
    assert_snapshot!(of("trap").await, @r"
    sampling-policy (plugin.wasm):
        cannot be configured: it trapped: wasm trap: wasm `unreachable` instruction executed
    ");
    assert_snapshot!(of("loop").await, @r"
    sampling-policy (plugin.wasm):
        cannot be configured: it exceeded its deadline: still computing after 400 ms (deadline_ms in plugins.toml)
    ");
    assert_snapshot!(of("sleep").await, @r"
    sampling-policy (plugin.wasm):
        cannot be configured: it exceeded its deadline: no answer within 400 ms (deadline_ms in plugins.toml)
    ");
    assert_snapshot!(of("memory").await, @r"
    sampling-policy (plugin.wasm):
        cannot be configured: it exceeded its memory limit: wanted 258 MB of linear memory, may have 16 MB (memory_mb in plugins.toml)
    ");
    let flood = of("flood").await;
    assert!(flood.contains("cannot be configured: it exceeded its deadline: "), "{flood}");
    assert_snapshot!(policy_refusal("rate = 'often'").await, @r"
    sampling-policy (plugin.wasm):
        cannot be configured: rate is `often`; it takes 0 to 1
    ");
    assert_snapshot!(policy_refusal("rates = 1").await, @r"
    sampling-policy (plugin.wasm):
        cannot be configured: no setting `rates`; there are rate, habit, in_configure and in_call
    ");
}

#[tokio::test]
async fn habits_in_the_trial() {
    assert_snapshot!(policy_refusal("rate = 7").await, @r"
    sampling-policy (plugin.wasm):
        fails a trial call of `decide`: sampling-policy answered nonsense: probability is 7, not 0 to 1
    ");
    assert_snapshot!(policy_refusal("rate = 'NaN'").await, @r"
    sampling-policy (plugin.wasm):
        fails a trial call of `decide`: sampling-policy answered nonsense: probability is NaN, not 0 to 1
    ");
    assert_snapshot!(policy_refusal("habit = 'impure'").await, @r#"
    sampling-policy (plugin.wasm):
        answers `decide` differently when asked the same again, first {"probability":0.5,"reason":"call_1"}, then {"probability":0.5,"reason":"call_2"}: plugins must be pure
    "#);
}

/// How the wayward policy fails at a habit.
async fn failure(pool: &Pool<SamplingPolicy>, habit: &str) -> String {
    let error = pool.decide(facts(habit), event(), AT_MS).await.expect_err(habit);
    format!("{} {error}", error.code())
}

#[tokio::test]
async fn habits_in_a_call_are_contained_and_the_next_call_is_answered() {
    let active = policy("pool_size = 1\ndeadline_ms = 400").await;
    let of = async |habit| {
        let failure = failure(&active.pool, habit).await;
        let next = active.pool.decide(facts("calls"), event(), AT_MS).await.expect("a fresh instance");
        assert_eq!(next.reason, "call_1", "after {habit}");
        failure
    };
    assert_snapshot!(of("loop").await, @"E411 sampling-policy exceeded its deadline: still computing after 400 ms");
    assert_snapshot!(of("sleep").await, @"E411 sampling-policy exceeded its deadline: no answer within 400 ms");
    // These wait for the host in between, and may be found at either.
    for habit in ["flood", "random_flood", "questions", "long_questions"] {
        let failure = of(habit).await;
        assert!(failure.starts_with("E411 "), "{failure}");
    }
    assert_snapshot!(of("recursion").await, @"E410 sampling-policy trapped: wasm trap: call stack exhausted");
    assert_snapshot!(of("panic").await, @"E410 sampling-policy trapped: wasm trap: wasm `unreachable` instruction executed; it printed: thread '<unnamed>' (1) panicked at tests/guests/habits/src/lib.rs:28:20: | told to panic | note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace");
    assert_snapshot!(of("trap").await, @"E410 sampling-policy trapped: wasm trap: wasm `unreachable` instruction executed");
    assert_snapshot!(of("exit").await, @"E410 sampling-policy trapped: ended itself with status 1");
    assert_snapshot!(of("random_at_once").await, @"E410 sampling-policy trapped: requested len 8589934592 exceeds limit 65536");
    assert_snapshot!(of("memory").await, @"E413 sampling-policy exceeded its memory limit: wanted 258 MB of linear memory, may have 16 MB");
    assert_snapshot!(of("huge_answer").await, @"E414 sampling-policy answered nonsense: hands over more than 4 MB at once");
}

#[tokio::test]
async fn nonsense_is_refused_and_its_instance_goes_on() {
    let active = policy(PATIENT).await;
    assert_snapshot!(failure(&active.pool, "nan").await, @"E414 sampling-policy answered nonsense: probability is NaN, not 0 to 1");
    assert_snapshot!(failure(&active.pool, "negative").await, @"E414 sampling-policy answered nonsense: probability is -1, not 0 to 1");
    assert_snapshot!(failure(&active.pool, "two").await, @"E414 sampling-policy answered nonsense: probability is 2, not 0 to 1");
    assert_snapshot!(failure(&active.pool, "no_reason").await, @"E414 sampling-policy answered nonsense: reason is ``, not a snake_case word of 1 to 64 characters");
    assert_snapshot!(failure(&active.pool, "long_reason").await, @"E414 sampling-policy answered nonsense: reason is `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`, not a snake_case word of 1 to 64 characters");
    let next = active.pool.decide(facts("calls"), event(), AT_MS).await.expect("decide");
    assert_eq!(next.reason, "call_8", "two calls of the trial, five of nonsense");
}

#[tokio::test]
async fn an_instance_that_cannot_be_configured_any_more_is_unfit() {
    let sound = policy("pool_size = 1\nrecycle_after = 3").await;
    let broken = "[sampling-policy]\nsettings = { in_configure = 'trap' }";
    let broken = PluginSettings::parse(broken).expect("settings").sampling_policy;
    let pool = sound.pool.reconfigured(broken);
    let error = pool.decide(facts("x"), event(), AT_MS).await.expect_err("no instance");
    assert_snapshot!(format!("{} {error}", error.code()), @"E412 sampling-policy was rejected: a new instance trapped: wasm trap: wasm `unreachable` instruction executed");
}
