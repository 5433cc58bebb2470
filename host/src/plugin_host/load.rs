//! From a file to a plugin that serves its slot, step by step; each step has
//! its own refusal. Nothing is published here.

use std::path::Path;

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

use super::bindings::identity::PluginInfo;
use super::canary::Canary;
use super::error::{MayBeLate as _, PluginError, PluginErrorKind, Problem, Refusal};
use super::pool::{Instance, Pool, Template};
use super::sandbox::Sandbox;
use super::set::{Active, PluginIdentity};
use super::settings::{Limits, SlotSettings};
use super::sha256_hex;
use super::world::World;

/// The package whose interfaces a plugin exports, and its version.
const PACKAGE: &str = "volttracker:plugins";
const VERSION: &str = "0.1.0";

/// The WASI packages that plugins may import: they lead into an empty world.
const WASI: [&str; 6] =
    ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random", "wasi:sockets"];

type Problems = Vec<String>;

/// Makes the file for a slot ready to serve, or says why it cannot.
pub(super) async fn load<W: Canary>(
    engine: &Engine,
    dir: &Path,
    settings: SlotSettings,
) -> Result<Active<W>, Refusal> {
    let file = dir.join(format!("{}.wasm", W::SLOT));
    let loaded = load_file::<W>(engine, &file, settings).await;
    loaded.map_err(|problems| Refusal { slot: W::SLOT, file, problems })
}

async fn load_file<W: Canary>(
    engine: &Engine,
    file: &Path,
    settings: SlotSettings,
) -> Result<Active<W>, Problems> {
    let bytes = read(file, settings.limits).await.map_err(one)?;
    check_form(&bytes).map_err(one)?;
    let digest = sha256_hex(&bytes);
    let settings_digest = settings.digest();
    let component = compile(engine, bytes).await.map_err(one)?;
    check_interfaces::<W>(&component)?;
    let template = link::<W>(&component, settings)?;
    let (instance, info) = given_chances(|| start(&template)).await.map_err(one)?;
    let pool = Pool::new(template, instance);
    given_chances(|| W::try_out(&pool)).await.map_err(one)?;
    let identity =
        PluginIdentity { name: info.name, version: info.version, digest, generation: 1, settings_digest };
    Ok(Active { identity, pool })
}

fn one(problem: String) -> Problems {
    vec![problem]
}

async fn read(file: &Path, limits: Limits) -> Result<Vec<u8>, String> {
    let metadata = tokio::fs::metadata(file).await.map_err(unreadable)?;
    if metadata.len() > limits.component_bytes {
        let (size, limit) = (metadata.len().div_ceil(1 << 20), limits.component_bytes >> 20);
        return Err(format!(
            "is {size} MB, more than {limit} MB: raise component_mb in plugins.toml if it is meant to be"
        ));
    }
    tokio::fs::read(file).await.map_err(unreadable)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unreadable(error: std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "is missing".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
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
async fn compile(engine: &Engine, bytes: Vec<u8>) -> Result<Component, String> {
    let engine = engine.clone();
    let compiled = tokio::task::spawn_blocking(move || Component::from_binary(&engine, &bytes));
    match compiled.await {
        Ok(Ok(component)) => Ok(component),
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

/// How often a plugin is asked that is but late. A machine that starts this is
/// often busy with starting, and a refused start is worse than a slow one.
const CHANCES: usize = 3;

async fn given_chances<T, F: Future<Output = Result<T, Problem>>>(step: impl Fn() -> F) -> Result<T, String> {
    for _ in 1..CHANCES {
        match step().await {
            Err(Problem { text, late: true }) => tracing::warn!("a plugin {text}; it is asked again"),
            outcome => return outcome.map_err(|problem| problem.text),
        }
    }
    step().await.map_err(|problem| problem.text)
}

/// Makes the first instance, asks it who it is and configures it.
async fn start<W: World>(template: &Template<W>) -> Result<(Instance<W>, PluginInfo), Problem> {
    let told = |step: &'static str| {
        move |error: PluginError| {
            let late = error.is_late();
            let text = match error.kind {
                PluginErrorKind::Rejected => format!("{step}: {}", error.message),
                kind => format!("{step}: it {kind}: {}", error.message),
            };
            Problem { text, late }
        }
    };
    let mut instance = template.open().await.map_err(told("cannot be started"))?;
    let info = template.describe(&mut instance).await.map_err(told("does not describe itself"))?;
    let length = info.name.chars().count();
    if !(1..=64).contains(&length) {
        return Err(format!("calls itself by a name of {length} characters, not 1 to 64").into());
    }
    if !(1..=64).contains(&info.version.chars().count()) {
        return Err("has a version of no or more than 64 characters".to_owned().into());
    }
    template.configure(&mut instance).await.map_err(told("cannot be configured"))?;
    Ok((instance, info))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// What a plugin is found to be that is late so often, and how often it
    /// was asked.
    async fn asked(late_times: usize) -> (Result<(), String>, usize) {
        let calls = Cell::new(0);
        let outcome = given_chances(async || {
            calls.set(calls.get() + 1);
            let late = Problem { text: "is late".to_owned(), late: true };
            if calls.get() <= late_times { Err(late) } else { Ok(()) }
        });
        (outcome.await, calls.get())
    }

    #[tokio::test]
    async fn a_plugin_that_is_but_late_is_asked_again_and_refused_in_the_end() {
        assert_eq!(asked(0).await, (Ok(()), 1));
        assert_eq!(asked(CHANCES - 1).await, (Ok(()), CHANCES));
        assert_eq!(asked(CHANCES).await, (Err("is late".to_owned()), CHANCES));
    }

    #[tokio::test]
    async fn a_plugin_that_is_unfit_is_not_asked_again() {
        let calls = Cell::new(0);
        let refused: Result<(), String> = given_chances(async || {
            calls.set(calls.get() + 1);
            Err("has no name".to_owned().into())
        })
        .await;
        assert_eq!((refused, calls.get()), (Err("has no name".to_owned()), 1));
    }
}
