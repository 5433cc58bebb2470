//! From a component to machine code: in a process of its own with an end, a
//! bound of memory and a low priority, or in place. What becomes of the code is
//! `code_cache`'s business.

pub(crate) mod child;

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use wasmtime::Engine;

use super::error::{PluginErrorKind, Unfit};
use super::load::check_form;
use crate::config::CompileLimits;

/// How many times longer than its time of a processor a compilation may take on
/// the wall, and how much longer beside that: only on a machine that is busy with
/// other things it comes so far, since all else goes before it.
const PATIENCE: u32 = 4;
const MORE_PATIENCE: Duration = Duration::from_secs(60);
/// The most code that one component may become: bytes. An interpreted plugin
/// becomes a tenth of it.
const MOST_CODE: u64 = 512 << 20;
/// What is kept of what a compiler says on standard error: bytes.
const MOST_WORDS: u64 = 600;
/// Threads of one compilation. Each has memory of its own, so that without a
/// bound the need would depend on the machine.
const THREADS: usize = 4;

/// How components are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compiling {
    /// In a process of its own, within these limits: whatever the component is,
    /// only that process suffers.
    Apart(CompileLimits),
    /// In this process, whatever it takes: for an author's own tools, and for
    /// tests, whose executable is not this program.
    InPlace,
}

/// Machine code that this program's own compiler made, here or in a child. Only
/// this module makes one.
pub(super) struct Compiled(Vec<u8>);

impl Compiled {
    pub(super) fn code(&self) -> &[u8] {
        &self.0
    }
}

impl Compiling {
    /// Compiles what has the form of a component: it takes from 12 ms to many
    /// seconds. Who waits no more ends the child.
    ///
    /// # Errors
    /// It is no component, or takes too much; or nobody can compile it now.
    pub(super) async fn compile(self, engine: &Engine, bytes: Arc<[u8]>) -> Result<Compiled, Unfit> {
        check_form(&bytes).map_err(Unfit::rejected)?;
        match self {
            Self::InPlace => in_place(engine.clone(), bytes).await,
            Self::Apart(limits) => {
                let seconds = Duration::from_secs(limits.plugin_compile_seconds);
                let patience = PATIENCE * seconds + MORE_PATIENCE;
                tokio::time::timeout(patience, apart(limits, &bytes)).await.unwrap_or_else(|_| {
                    let problem = format!("is not compiled within {patience:?}: try it again later");
                    Err(Unfit::for_now(problem))
                })
            }
        }
    }
}

async fn in_place(engine: Engine, bytes: Arc<[u8]>) -> Result<Compiled, Unfit> {
    let compiled = tokio::task::spawn_blocking(move || engine.precompile_component(&bytes)).await;
    match compiled {
        Ok(compiled) => compiled.map(Compiled).map_err(|error| Unfit::rejected(uncompiled(&error))),
        Err(panic) => Err(Unfit::rejected(format!("cannot be compiled: {panic}"))),
    }
}

/// What is told of a component that the engine does not take.
pub(super) fn uncompiled(error: &wasmtime::Error) -> String {
    invalid(&error.root_cause().to_string())
}

fn invalid(cause: &str) -> String {
    // The engine's errors for these have no public type.
    if cause.contains("pooling allocator") {
        return format!("is made of more than a plugin may be: {cause}");
    }
    format!("is not a valid component, or cut off: {cause}: build or copy it again")
}

async fn apart(limits: CompileLimits, bytes: &[u8]) -> Result<Compiled, Unfit> {
    let mut child = spawn(limits, bytes.len()).map_err(|error| not_now(&error))?;
    let ended = converse(&mut child, bytes).await.map_err(|error| not_now(&error))?;
    ended.judge(limits)
}

fn not_now(error: &io::Error) -> Unfit {
    Unfit::for_now(format!("cannot be compiled now: {error}"))
}

/// Starts this program once more, as a compiler. It is killed when nobody waits
/// for it, and ends by itself when this process does.
fn spawn(limits: CompileLimits, length: usize) -> io::Result<Child> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    Command::new(this_program()?)
        .arg(child::NAME)
        .args(child::ChildArgs { limits, length }.told())
        .env_clear()
        .env("RAYON_NUM_THREADS", threads.to_string())
        // Memory is asked of the system as it is needed: it has a bound.
        .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// The file of this program, which on Linux is found also when it was replaced
/// or removed since it started: what compiles is what loads.
fn this_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

/// What a compiler came to.
struct Ended {
    status: ExitStatus,
    output: Vec<u8>,
    words: String,
}

async fn converse(child: &mut Child, bytes: &[u8]) -> io::Result<Ended> {
    let lost = || io::Error::other("a compiler without pipes");
    let stdin = child.stdin.take().ok_or_else(lost)?;
    let stdout = child.stdout.take().ok_or_else(lost)?;
    let stderr = child.stderr.take().ok_or_else(lost)?;
    let read = async { tokio::try_join!(bounded(stdout, MOST_CODE + 1), bounded(stderr, MOST_WORDS)) };
    // Kept open to the end: the child ends with it.
    let (_stdin, read) = tokio::join!(give(stdin, bytes), read);
    let (output, words) = read?;
    let status = child.wait().await?;
    Ok(Ended { status, output, words: String::from_utf8_lossy(&words).trim().to_owned() })
}

async fn give(mut stdin: ChildStdin, bytes: &[u8]) -> ChildStdin {
    if let Err(error) = stdin.write_all(bytes).await {
        // Its status says why it does not listen.
        tracing::debug!(%error, "a compiler does not take its component");
    }
    stdin
}

/// The first bytes of what comes; the rest goes.
async fn bounded(mut from: impl AsyncRead + Unpin, most: u64) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    (&mut from).take(most).read_to_end(&mut first).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(first)
}

impl Ended {
    fn judge(self, limits: CompileLimits) -> Result<Compiled, Unfit> {
        let Self { status, output, words } = self;
        let signal = status.signal();
        let is = |one: Signal| signal == Some(one.as_raw());
        let out_of_memory = is(Signal::ABORT) && words.contains(child::NO_MEMORY);
        if out_of_memory || status.code() == Some(child::OUT_OF_MEMORY) {
            return Err(too_large(limits));
        }
        if is(Signal::XCPU) {
            return Err(too_slow(limits));
        }
        // It is not tried again by itself: that would end the same way, and the
        // kernel may take another process then.
        if is(Signal::KILL) {
            let problem = "cannot be compiled: its compiler was killed, as happens on a machine without memory \
                left: activate it by hand when there is some";
            return Err(Unfit::rejected(problem.to_owned()));
        }
        // Nobody but an operator sends these.
        if [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT].into_iter().any(is) {
            return Err(Unfit::for_now(format!(
                "cannot be compiled now: its compiler was ended by {status}"
            )));
        }
        match status.code() {
            Some(0) if output.len() as u64 > MOST_CODE => {
                Err(Unfit::rejected(format!("becomes more than {} MB of machine code", MOST_CODE >> 20)))
            }
            Some(0) => Ok(Compiled(output)),
            Some(child::REFUSED) => Err(Unfit::rejected(invalid(&String::from_utf8_lossy(&output)))),
            Some(child::UNABLE) => Err(Unfit::for_now(format!("cannot be compiled now: {words}"))),
            _ => {
                Err(Unfit::rejected(format!("cannot be compiled: its compiler ended with {status}: {words}")))
            }
        }
    }
}

fn too_large(limits: CompileLimits) -> Unfit {
    let megabytes = limits.plugin_compile_memory_mb;
    let problem = format!(
        "needs more than {megabytes} MB of memory to be compiled: make its largest functions smaller, \
         or have PLUGIN_COMPILE_MEMORY_MB raised"
    );
    Unfit::new(PluginErrorKind::MemoryLimit, problem)
}

fn too_slow(limits: CompileLimits) -> Unfit {
    let seconds = limits.plugin_compile_seconds;
    Unfit::rejected(format!(
        "takes more than {seconds} s of a processor to be compiled: make its largest functions smaller, \
         or have PLUGIN_COMPILE_SECONDS raised"
    ))
}
