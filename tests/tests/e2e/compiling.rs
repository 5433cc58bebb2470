//! Components that take more to be compiled than they are worth: only the
//! process that compiles them suffers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::{Inbox, Process, Server, Settings};
use insta::assert_snapshot;
use serde_json::Value;

use crate::volt::{Phone, now_ms};

/// How much the receiver may grow beside a compiler that takes ten times that.
const GROWTH: u64 = 100 << 20;

/// A component of one function, which is that long: bytes. Each of its loops of
/// arithmetic goes on with what the one before left.
fn one_long_function(length: usize) -> Vec<u8> {
    // One local; the parameter on the stack.
    let mut body = vec![1, 1, 0x7f, 0x20, 0];
    while body.len() < length {
        // i32.const 7, i32.add, local.tee 1, if: local.get 1, local.set 0, end,
        // local.get 1, local.get 0, i32.mul
        body.extend([0x41, 7, 0x6a, 0x22, 1, 0x04, 0x40, 0x20, 1, 0x21, 0, 0x0b, 0x20, 1, 0x20, 0, 0x6c]);
    }
    body.push(0x0b);
    let code = [vec![1], counted(body)].concat();
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    // One type, i32 to i32, and one function of it.
    module.extend([1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f, 3, 2, 1, 0, 10]);
    module.extend(counted(code));
    [b"\0asm\x0d\0\x01\0\x01".to_vec(), counted(module)].concat()
}

/// Bytes with their number in front, as LEB128.
fn counted(bytes: Vec<u8>) -> Vec<u8> {
    let (mut number, mut counted) = (bytes.len(), Vec::new());
    while number >= 0x80 {
        counted.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    counted.push(number as u8);
    counted.extend(bytes);
    counted
}

/// Puts a component into the slot of the policy and uploads until it is
/// refused; what was said of it.
async fn refused_beside_uploads(limit: (&str, &str), component: &[u8]) -> anyhow::Result<String> {
    let plugins = Inbox::fresh()?;
    let settings = Settings::default().set("PLUGIN_DIR", plugins.path()).set(limit.0, limit.1);
    let mut server = Server::start(settings).await?;
    let before = server.process()?.resident_bytes()?;
    let (refused, start_ms) = (AtomicBool::new(false), now_ms());
    let uploads = async {
        let (phone, mut most, mut count) = (Phone::new(1, start_ms), before, 0);
        while !refused.load(Ordering::Relaxed) || count < 20 {
            let answer = server.upload(&phone.reading(start_ms + count, "kc=900")).await?;
            ensure!(answer.is_ok(), "{answer:?}");
            most = most.max(server.process()?.resident_bytes()?);
            count += 1;
        }
        anyhow::Ok(most)
    };
    let refusal = async {
        plugins.put("sampling-policy", component)?;
        // Three swaps were those of the start.
        server.wait_for_count("plugin_swap", 4).await?;
        refused.store(true, Ordering::Relaxed);
        anyhow::Ok(())
    };
    let (most, ()) = tokio::try_join!(uploads, refusal)?;
    ensure!(most < before + GROWTH, "from {before} to {most} bytes");
    ensure!(server.process()?.children()?.is_empty(), "a compiler is left");
    let swap = server.wait_for_operation("plugin_swap", 4).await?.remove(3);
    ensure!(swap["success"] == false, "{swap}");
    server.stop().await?;
    Ok(format!("{}: {}", swap["error"]["code"], swap["problems"]))
}

#[tokio::test]
async fn what_takes_too_long_to_compile_is_refused_beside_uploads() -> anyhow::Result<()> {
    let refusal =
        refused_beside_uploads(("PLUGIN_COMPILE_SECONDS", "3"), &one_long_function(1 << 20)).await?;
    assert_snapshot!(refusal, @r#""E412": ["takes more than 3 s of a processor to be compiled: make its largest functions smaller, or have PLUGIN_COMPILE_SECONDS raised"]"#);
    Ok(())
}

#[tokio::test]
async fn what_takes_too_much_memory_to_compile_is_refused_beside_uploads() -> anyhow::Result<()> {
    let refusal =
        refused_beside_uploads(("PLUGIN_COMPILE_MEMORY_MB", "256"), &one_long_function(4 << 20)).await?;
    assert_snapshot!(refusal, @r#""E413": ["needs more than 256 MB of memory to be compiled: make its largest functions smaller, or have PLUGIN_COMPILE_MEMORY_MB raised"]"#);
    Ok(())
}

#[tokio::test]
async fn a_compiler_has_nothing_of_the_receiver_and_ends_with_it() -> anyhow::Result<()> {
    let plugins = Inbox::fresh()?;
    let mut server = Server::start(Settings::default().set("PLUGIN_DIR", plugins.path())).await?;
    plugins.put("sampling-policy", &one_long_function(1 << 20))?;
    let compiler = compiler_of(&server).await?;
    // Once it has done with what it looks up, it has its three pipes and what
    // whoever started all this left open, such as a shell.
    let inherited = |number: &str| {
        let file = |id: &str| std::fs::read_link(format!("/proc/{id}/fd/{number}")).ok();
        file("self").is_some_and(|ours| file(&compiler.to_string()) == Some(ours))
    };
    wait_until("it has other files", || {
        let open = std::fs::read_dir(format!("/proc/{compiler}/fd")).into_iter().flatten().flatten();
        let names: Vec<_> = open.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.len() >= 3
            && names.iter().all(|name| ["0", "1", "2"].contains(&name.as_str()) || inherited(name))
    })
    .await?;
    let environment = std::fs::read_to_string(format!("/proc/{compiler}/environ"))?;
    let mut names: Vec<_> = environment.split_terminator('\0').map(|one| one.split_once('=')).collect();
    names.sort_unstable();
    let names: Vec<_> = names.into_iter().flatten().map(|(name, _)| name).collect();
    assert_eq!(names, ["MIMALLOC_ARENA_EAGER_COMMIT", "RAYON_NUM_THREADS"]);
    server.kill().await.context("killed")?;
    wait_until("the compiler goes on", || !is_there(compiler)).await
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_compiler_and_leaves_none() -> anyhow::Result<()> {
    let plugins = Inbox::fresh()?;
    let mut server = Server::start(Settings::default().set("PLUGIN_DIR", plugins.path())).await?;
    plugins.put("sampling-policy", &one_long_function(1 << 20))?;
    let compiler = compiler_of(&server).await?;
    let stopped = server.terminate().await?;
    ensure!(stopped.status.success() && stopped.took < Duration::from_secs(10), "{stopped:?}");
    wait_until("the compiler goes on", || !is_there(compiler)).await
}

#[tokio::test]
async fn a_stop_during_a_start_ends_it_and_its_compilers_and_blames_no_file() -> anyhow::Result<()> {
    let plugins = Inbox::fresh()?;
    let settings = || Settings::default().set("PLUGIN_DIR", plugins.path());
    let mut first = Server::start(settings()).await?;
    first.stop().await?;
    // Each is compiled for a minute and more.
    plugins.put("sampling-policy", &one_long_function(1 << 20))?;
    plugins.put("usage-tier", &one_long_function((1 << 20) + 17))?;
    let note = first.data_dir().join("plugin-trials.json");
    // More of them than processes that one file may end.
    for _ in 1..=4 {
        let mut compilers = Vec::new();
        let compiling = async |process| {
            wait_until("they are not compiled", || compilers_of(process).len() == 2).await?;
            compilers = compilers_of(process);
            ensure!(note.exists(), "what is under its checks is not noted");
            Ok(())
        };
        let stopped = Server::stopped_early(&settings().data_of(&first), compiling).await?;
        ensure!(stopped.status.success(), "{stopped:?}");
        ensure!(stopped.took < Duration::from_secs(5), "{stopped:?}");
        assert_eq!(stopped.events, [] as [Value; 0], "it never served");
        ensure!(!note.exists(), "a file is blamed");
        wait_until("a compiler goes on", || !compilers.iter().any(|id| is_there(*id))).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_start_serves_the_last_good_plugin_in_place_of_what_takes_too_long_and_remembers_it()
-> anyhow::Result<()> {
    let plugins = Inbox::fresh()?;
    let settings =
        |settings: Settings| settings.set("PLUGIN_DIR", plugins.path()).set("PLUGIN_COMPILE_SECONDS", "3");
    let mut first = Server::start(settings(Settings::default())).await?;
    first.stop().await?;
    plugins.put("sampling-policy", &one_long_function(1 << 20))?;
    for refusals in [1, 0] {
        let mut next = Server::start(settings(Settings::default().data_of(&first))).await?;
        let slots = next.api("/api/plugins").await?.to_string();
        ensure!(slots.contains("takes more than 3 s of a processor"), "{slots}");
        let answer = next.upload(&Phone::new(1, now_ms()).reading(now_ms(), "kc=900")).await?;
        ensure!(answer.is_ok(), "{answer:?}");
        let tried = |event: &&Value| event["operation"] == "plugin_swap" && !event["to"]["digest"].is_null();
        assert_eq!(next.stop().await?.iter().filter(tried).count(), refusals);
    }
    Ok(())
}

/// The process that compiles for a receiver, once it is one.
async fn compiler_of(server: &Server) -> anyhow::Result<u32> {
    let process = server.process()?;
    wait_until("nothing is compiled", || !compilers_of(process).is_empty()).await?;
    compilers_of(process).pop().context("it is compiled already")
}

/// The processes that compile for a receiver.
fn compilers_of(process: Process) -> Vec<u32> {
    // Before it is one, each is a copy of the receiver.
    let compiles = |id: &u32| {
        let line = std::fs::read_to_string(format!("/proc/{id}/cmdline"));
        line.is_ok_and(|line| line.contains("compile-component"))
    };
    process.children().unwrap_or_default().into_iter().filter(compiles).collect()
}

async fn wait_until(otherwise: &str, condition: impl Fn() -> bool) -> anyhow::Result<()> {
    let by = Instant::now() + Duration::from_secs(60);
    while !condition() {
        ensure!(Instant::now() < by, "{otherwise}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Whether the process is there, and no mere remainder of one.
fn is_there(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
