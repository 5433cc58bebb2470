//! From a component to a plugin that serves its slot, step by step; each step
//! has its own refusal. Nothing is published here, and no file is read.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

use super::bindings::identity::PluginInfo;
use super::canary::Canary;
use super::code_cache::{CodeCache, Origin};
use super::error::{PluginError, PluginErrorKind};
use super::pool::{Instance, Pool, Template};
use super::sandbox::Sandbox;
use super::settings::SlotSettings;
use super::world::World;

/// The package whose interfaces a plugin exports, and its version.
const PACKAGE: &str = "volttracker:plugins";
const VERSION: &str = "0.1.0";

/// The WASI packages that plugins may import: they lead into an empty world.
const WASI: [&str; 6] =
    ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random", "wasi:sockets"];

/// How often a candidate is tried that exceeds its deadline. A deadline is
/// time on the wall, and this machine may have been busy.
const ATTEMPTS: u32 = 3;

type Problems = Vec<String>;

/// A component that is ready to serve its slot.
pub(super) struct Loaded<W: World> {
    pub(super) info: PluginInfo,
    pub(super) pool: Pool<W>,
    /// Whether its code had to be compiled.
    pub(super) compiled: bool,
    /// How long each step took: milliseconds.
    pub(super) timings: Vec<(&'static str, f64)>,
}

/// Makes a component ready to serve, or says why it cannot.
pub(super) async fn load<W: Canary>(
    code: Arc<CodeCache>,
    bytes: &Arc<[u8]>,
    digest: &str,
    settings: SlotSettings,
) -> Result<Loaded<W>, Problems> {
    settings.check_size(bytes.len() as u64).map_err(one)?;
    check_form(bytes).map_err(one)?;
    let started = Instant::now();
    let (component, origin) = compile(code, bytes, digest).await.map_err(one)?;
    let compile_ms = ms_since(started);
    check_interfaces::<W>(&component)?;
    let started = Instant::now();
    let (info, pool) = try_in_time::<W>(&component, settings).await?;
    let timings = vec![("compile", compile_ms), ("trial", ms_since(started))];
    Ok(Loaded { info, pool, compiled: origin == Origin::Compiler, timings })
}

/// Starts a plugin and tries it out, again if it was late: only one that is
/// late each time is to blame for it.
async fn try_in_time<W: Canary>(
    component: &Component,
    settings: SlotSettings,
) -> Result<(PluginInfo, Pool<W>), Problems> {
    for _ in 1..ATTEMPTS {
        match start::<W>(component, settings.clone()).await {
            Err(Unfit { problems, late: true }) => {
                tracing::info!(slot = %W::SLOT, ?problems, "a candidate is late; it is tried again");
            }
            ended => return ended.map_err(|unfit| unfit.problems),
        }
    }
    start(component, settings).await.map_err(|unfit| unfit.problems)
}

/// Why a candidate is refused, and whether it is because it was late.
struct Unfit {
    problems: Problems,
    late: bool,
}

async fn start<W: Canary>(
    component: &Component,
    settings: SlotSettings,
) -> Result<(PluginInfo, Pool<W>), Unfit> {
    let template = link::<W>(component, settings).map_err(|problems| Unfit { problems, late: false })?;
    let (instance, info) = match open(&template).await {
        Ok(opened) => opened,
        Err(problem) => return Err(Unfit { problems: one(problem), late: template.was_late() }),
    };
    let pool = Pool::new(template, instance);
    let tried = W::try_out(&pool).await;
    tried.map_err(|problem| Unfit { problems: one(problem), late: pool.template().was_late() })?;
    Ok((info, pool))
}

fn ms_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}

fn one(problem: String) -> Problems {
    vec![problem]
}

/// Tells apart what people put there by mistake: the header of a WebAssembly
/// file is `\0asm`, then 1, 0, 0, 0 in a core module and 13, 0, 1, 0 in a
/// component.
fn check_form(bytes: &[u8]) -> Result<(), String> {
    let problem = match bytes {
        [] => "is empty",
        [b'\0', b'a', b's', b'm', 13, 0, 1, 0, ..] => return Ok(()),
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            "is a core module, not a component: build it for the target wasm32-wasip2"
        }
        [b'\0', b'a', b's', b'm', ..] => "is WebAssembly of an unknown version, or cut off",
        _ if is_text(bytes) => "is a text, not a component: it must be the binary that a build makes",
        _ => "is not WebAssembly: it does not start with \\0asm",
    };
    Err(problem.to_owned())
}

fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(512)];
    start.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~') || *byte >= 0x80)
}

/// Compiles off the async threads: it takes from 12 ms to many seconds.
async fn compile(
    code: Arc<CodeCache>,
    bytes: &Arc<[u8]>,
    digest: &str,
) -> Result<(Component, Origin), String> {
    let (bytes, digest) = (Arc::clone(bytes), digest.to_owned());
    let compiled = tokio::task::spawn_blocking(move || code.load(&digest, &bytes));
    match compiled.await {
        Ok(Ok(compiled)) => Ok(compiled),
        Ok(Err(error)) => Err(format!("is not a valid component, or cut off: {}", error.root_cause())),
        Err(panic) => Err(format!("cannot be compiled: {panic}")),
    }
}

/// Compares imports and exports with the slot's world, and lists everything
/// that keeps the component out.
fn check_interfaces<W: World>(component: &Component) -> Result<(), Problems> {
    let engine = component.engine();
    let ty = component.component_type();
    let forbidden = ty
        .imports(engine)
        .filter(|(name, _)| !allowed::<W>(name))
        .map(|(name, _)| format!("forbidden import: {name}"));
    let mut problems: Problems = forbidden.collect();
    let exports: Vec<&str> = ty
        .exports(engine)
        .filter(|(_, export)| matches!(export.ty, ComponentItem::ComponentInstance(_)))
        .map(|(name, _)| name)
        .collect();
    for interface in W::EXPORTS {
        let interface = format!("{PACKAGE}/{}", interface.replace('_', "-"));
        let wanted = format!("{interface}@{VERSION}");
        if exports.contains(&wanted.as_str()) {
            continue;
        }
        let other = exports.iter().find(|name| without_version(name) == interface);
        problems.push(match other {
            Some(other) => format!("export of another version: {other}, not {wanted}"),
            None => format!("missing export: {wanted}"),
        });
    }
    refuse_if_any(problems)
}

fn refuse_if_any(problems: Problems) -> Result<(), Problems> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(problems)
}

fn allowed<W: World>(import: &str) -> bool {
    let own = |interface: &&str| import == format!("{PACKAGE}/{}@{VERSION}", interface.replace('_', "-"));
    let wasi = || {
        let package = import.split('/').next().unwrap_or(import);
        let version = import.rsplit('@').next().unwrap_or("");
        WASI.contains(&package) && version.starts_with("0.2.")
    };
    W::IMPORTS.iter().any(own) || wasi()
}

fn without_version(name: &str) -> &str {
    name.split('@').next().unwrap_or(name)
}

/// Resolves the imports and finds the exports, once for all instances.
fn link<W: World>(component: &Component, settings: SlotSettings) -> Result<Template<W>, Problems> {
    let mut linker = Linker::<Sandbox>::new(component.engine());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)
        .and_then(|()| W::link(&mut linker))
        .map_err(|error| one(format!("the host cannot define its imports: {error:#}")))?;
    let component = linker
        .instantiate_pre(component)
        .map_err(|error| one(format!("import of another type: {error:#}")))?;
    let indices = W::find(&component)?;
    Ok(Template::new(component, indices, settings))
}

/// Makes the first instance, asks it who it is and configures it.
async fn open<W: World>(template: &Template<W>) -> Result<(Instance<W>, PluginInfo), String> {
    let told = |step: &'static str| {
        move |error: PluginError| match error.kind {
            PluginErrorKind::Rejected => format!("{step}: {}", error.message),
            kind => format!("{step}: it {kind}: {}", error.message),
        }
    };
    let mut instance = template.open().await.map_err(told("cannot be started"))?;
    let info = template.describe(&mut instance).await.map_err(told("does not describe itself"))?;
    let length = info.name.chars().count();
    if !(1..=64).contains(&length) {
        return Err(format!("calls itself by a name of {length} characters, not 1 to 64"));
    }
    if !(1..=64).contains(&info.version.chars().count()) {
        return Err("has a version of no or more than 64 characters".to_owned());
    }
    if [&info.name, &info.version].iter().any(|text| text.contains(char::is_control)) {
        return Err("has a control character in its name or version".to_owned());
    }
    template.configure(&mut instance).await.map_err(told("cannot be configured"))?;
    Ok((instance, info))
}
