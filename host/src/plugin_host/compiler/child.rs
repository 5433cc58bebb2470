//! The compiling process from inside: it bounds itself, takes one component
//! from standard input, gives its machine code to standard output, and ends. It
//! has no runtime, no log and no setting but its arguments.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};

use crate::config::CompileLimits;
use crate::plugin_host::engine;

/// The command that begins one.
pub(crate) const NAME: &str = "compile-component";

/// It ends with this where the component is none: standard output says why.
pub(super) const REFUSED: i32 = 3;
/// Where it can do nothing for the component, good or bad: standard error says
/// why.
pub(super) const UNABLE: i32 = 4;
/// Where the compiler itself said that memory is short.
pub(super) const OUT_OF_MEMORY: i32 = 5;
/// What is said where it did not: `std`'s words, before an abort.
pub(super) const NO_MEMORY: &str = "memory allocation of";

/// How much lower its priority is: uploads have three times its share of a
/// processor. At ten it would be nine times, and a new plugin served later by
/// half under steady uploads.
const NICER: i32 = 5;
/// Seconds after which the kernel no longer asks.
const GRACE_SECONDS: u64 = 5;

/// What a compiling process is told.
#[derive(Debug, Args)]
pub(crate) struct ChildArgs {
    #[command(flatten)]
    pub(super) limits: CompileLimits,
    /// Length of the component: bytes.
    #[arg(long)]
    pub(super) length: usize,
}

impl ChildArgs {
    /// The same as arguments.
    pub(super) fn told(&self) -> [OsString; 6] {
        let CompileLimits { plugin_compile_memory_mb, plugin_compile_seconds } = self.limits;
        [
            "--plugin-compile-memory-mb".into(),
            plugin_compile_memory_mb.to_string().into(),
            "--plugin-compile-seconds".into(),
            plugin_compile_seconds.to_string().into(),
            "--length".into(),
            self.length.to_string().into(),
        ]
    }
}

/// Compiles one component.
pub(crate) fn run(args: &ChildArgs) -> ExitCode {
    match bound(args.limits).and_then(|()| component(args.length)) {
        Ok(bytes) => compile(&bytes),
        Err(error) => unable(&error),
    }
}

/// The first act: what comes after it may be hostile.
fn bound(limits: CompileLimits) -> io::Result<()> {
    // Of memory that can be written, which is what takes room: address space
    // alone takes none, and every thread reserves much of that.
    let bytes = limits.plugin_compile_memory_mb << 20;
    limit(Resource::Data, bytes, bytes)?;
    let seconds = limits.plugin_compile_seconds;
    limit(Resource::Cpu, seconds, seconds + GRACE_SECONDS)?;
    limit(Resource::Core, 0, 0)?;
    // These two are kindness: some systems have none of it.
    nice(NICER).ok();
    // Where the machine has no memory left, this process goes, not the receiver.
    std::fs::write("/proc/self/oom_score_adj", "1000").ok();
    Ok(())
}

/// Never more than whoever started all this allows.
fn limit(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    let allowed = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let (current, maximum) = (Some(current.min(allowed)), Some(maximum.min(allowed)));
    Ok(setrlimit(resource, Rlimit { current, maximum })?)
}

fn component(length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // The pipe stays open as long as somebody waits for the code.
    std::thread::Builder::new().name("lifeline".into()).spawn(|| {
        let mut nothing = [0];
        while matches!(io::stdin().lock().read(&mut nothing), Ok(1..)) {}
        std::process::abort();
    })?;
    Ok(bytes)
}

fn compile(bytes: &[u8]) -> ExitCode {
    let engine = match engine::compiler() {
        Ok(engine) => engine,
        Err(error) => return unable(&error),
    };
    let (code, output) = match engine.precompile_component(bytes) {
        Ok(code) => (ExitCode::SUCCESS, code),
        Err(error) if error.is::<wasmtime::error::OutOfMemory>() => return ended(OUT_OF_MEMORY),
        Err(error) => (ended(REFUSED), error.root_cause().to_string().into_bytes()),
    };
    match io::stdout().lock().write_all(&output) {
        Ok(()) => code,
        Err(error) => unable(&error),
    }
}

fn ended(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

fn unable(error: &dyn std::fmt::Display) -> ExitCode {
    // Nobody is left to hear it where this fails.
    writeln!(io::stderr(), "{error}").ok();
    ended(UNABLE)
}
