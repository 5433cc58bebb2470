//! From a component to a plugin that serves its slot, step by step; each step
//! has its own refusal. Nothing is published here, and no file is read.

use std::time::Instant;

use wasmtime::component::Component;

use super::bindings::identity::PluginInfo;
use super::code_cache::Origin;
use super::error::{Fault, PluginError, PluginErrorKind, Unfit};
use super::pool::{Instance, Pool, Template};
use super::prepared::CheckTimes;
use super::questions::Ask;
use super::settings::SlotSettings;
use super::world::{PACKAGE, VERSION, World};
use super::{answers, canary, interfaces};

/// How often a candidate is tried that exceeds its deadline. A deadline is
/// time on the wall, and this machine may have been busy.
const ATTEMPTS: u32 = 3;

/// A component that is ready to serve its slot.
pub(super) struct Loaded<W: World> {
    pub(super) info: PluginInfo,
    pub(super) pool: Pool<W>,
    /// Whether its code had to be compiled.
    pub(super) compiled: bool,
    /// How long each step took: milliseconds.
    pub(super) times: CheckTimes,
}

/// Why a component is not ready to serve.
pub(super) struct Unready {
    pub(super) unfit: Unfit,
    /// Whether its code was compiled for it.
    pub(super) compiled: bool,
}

impl From<Unfit> for Unready {
    fn from(unfit: Unfit) -> Self {
        Self { unfit, compiled: false }
    }
}

/// Makes a component ready to serve, or says why it cannot: all the checks
/// there are, whoever asks. `code` is its compiled code, which is waited for
/// once it is worth it.
pub(super) async fn load<W: Ask>(
    bytes: &[u8],
    settings: SlotSettings,
    code: impl Future<Output = Result<(Component, Origin), Unfit>>,
) -> Result<Loaded<W>, Unready> {
    settings.check_size(bytes.len() as u64).map_err(Unfit::rejected)?;
    check_form(bytes).map_err(Unfit::rejected)?;
    let started = Instant::now();
    let (component, origin) = code.await?;
    let (compiled, compile_ms) = (origin == Origin::Compiler, ms_since(started));
    let started = Instant::now();
    let tried = try_in_time::<W>(&component, settings).await;
    let (info, pool) = tried.map_err(|unfit| Unready { unfit, compiled })?;
    let times = CheckTimes { compile_ms, trial_ms: ms_since(started) };
    Ok(Loaded { info, pool, compiled, times })
}

/// Starts a plugin and tries it out, again if it was late: only one that is
/// late each time is to blame for it.
async fn try_in_time<W: Ask>(
    component: &Component,
    settings: SlotSettings,
) -> Result<(PluginInfo, Pool<W>), Unfit> {
    for _ in 1..ATTEMPTS {
        match try_once::<W>(component, settings.clone()).await {
            Err(Unfit { problems, fault: Fault::Plugin(PluginErrorKind::DeadlineExceeded) }) => {
                tracing::info!(slot = %W::SLOT, ?problems, "a candidate is late; it is tried again");
            }
            ended => return ended,
        }
    }
    try_once(component, settings).await
}

async fn try_once<W: Ask>(
    component: &Component,
    settings: SlotSettings,
) -> Result<(PluginInfo, Pool<W>), Unfit> {
    let (info, pool) = start::<W>(component, settings).await?;
    // An instance that was made for a trial call is said to be unfit, however it was.
    canary::try_out(&pool).await.map_err(|unfit| match pool.template().was_late() {
        true => Unfit { fault: Fault::Plugin(PluginErrorKind::DeadlineExceeded), ..unfit },
        false => unfit,
    })?;
    Ok((info, pool))
}

/// A compiled component as a plugin that is ready for calls, but not tried.
pub(super) async fn start<W: World>(
    component: &Component,
    settings: SlotSettings,
) -> Result<(PluginInfo, Pool<W>), Unfit> {
    let template = template::<W>(component, settings)?;
    let (mut instance, info) = open(&template).await?;
    template.configure(&mut instance).await.map_err(told("cannot be configured"))?;
    Ok((info, Pool::new(template, instance)))
}

fn ms_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}

/// Tells apart what people put there by mistake: the header of a WebAssembly
/// file is `\0asm`, then 1, 0, 0, 0 in a core module and 13, 0, 1, 0 in a
/// component.
pub(super) fn check_form(bytes: &[u8]) -> Result<(), String> {
    let problem = match bytes {
        [] => "is empty: its build failed, or it is not written yet",
        [b'\0', b'a', b's', b'm', 13, 0, 1, 0, ..] => return Ok(()),
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            "is a core module, not a component: build it for the target wasm32-wasip2"
        }
        [b'\0', b'a', b's', b'm', ..] => {
            "is WebAssembly of an unknown version, or cut off: build or copy it again"
        }
        _ if is_text(bytes) => "is a text, not a component: it must be the binary that a build makes",
        _ => "is not WebAssembly: it does not start with \\0asm",
    };
    Err(problem.to_owned())
}

fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(512)];
    start.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~') || *byte >= 0x80)
}

/// What instances of a component are made of, if it fits the slot's world.
pub(super) fn template<W: World>(
    component: &Component,
    settings: SlotSettings,
) -> Result<Template<W>, Unfit> {
    let component = interfaces::fit::<W>(component)?;
    let indices = W::find(&component).map_err(|error| Unfit::rejected(format!("{error:#}")))?;
    Ok(Template::new(component, indices, settings))
}

/// Makes an instance and asks it who it is.
pub(super) async fn open<W: World>(template: &Template<W>) -> Result<(Instance<W>, PluginInfo), Unfit> {
    let unbound = template.instantiate().await.map_err(told("cannot be started"))?;
    let mut instance = template.bind(unbound).map_err(|mut mistyped| {
        mistyped.push(format!("build it against {PACKAGE}@{VERSION} as it is in wit/"));
        mistyped
    })?;
    let info = template.describe(&mut instance).await.map_err(told("does not describe itself"))?;
    answers::info(&info).map_err(|oddity| {
        Unfit::new(PluginErrorKind::Nonsense, format!("does not describe itself: {oddity}"))
    })?;
    Ok((instance, info))
}

fn told(step: &'static str) -> impl Fn(PluginError) -> Unfit {
    move |PluginError { kind, message, .. }| {
        let problem = match kind {
            PluginErrorKind::Rejected => format!("{step}: {message}"),
            PluginErrorKind::DeadlineExceeded => {
                format!("{step}: it {kind}: {message} (deadline_ms in plugins.toml)")
            }
            PluginErrorKind::MemoryLimit => {
                format!("{step}: it {kind}: {message} (memory_mb in plugins.toml)")
            }
            PluginErrorKind::Trapped | PluginErrorKind::Nonsense => format!("{step}: it {kind}: {message}"),
        };
        Unfit::new(kind, problem)
    }
}
