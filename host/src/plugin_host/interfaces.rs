//! What a component imports and exports, held against a slot's world. No
//! instance is made here.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};

use super::Slot;
use super::sandbox::Sandbox;
use super::world::{
    Export, PACKAGE, SamplingPolicy, TripCalculator, UsageTier, VERSION, World, full_name, kebab,
};

/// The WASI packages that plugins may import: they lead into an empty world.
const WASI: [&str; 6] =
    ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random", "wasi:sockets"];

/// Holds a component against the slot's world and resolves its imports, or
/// lists everything that keeps it out.
pub(super) fn fit<W: World>(component: &Component) -> Result<InstancePre<Sandbox>, Vec<String>> {
    let mut problems = forbidden_imports::<W>(component);
    let linked = if problems.is_empty() {
        link::<W>(component).map_err(|mistyped| problems.push(mistyped)).ok()
    } else {
        problems.push(format!("a plugin for {} may import {}", W::SLOT, allowed_imports::<W>()));
        None
    };
    problems.extend(unfit_exports::<W>(component));
    match linked {
        Some(linked) if problems.is_empty() => Ok(linked),
        _ => Err(problems),
    }
}

fn forbidden_imports<W: World>(component: &Component) -> Vec<String> {
    let ty = component.component_type();
    ty.imports(component.engine())
        .filter(|(name, _)| !allowed::<W>(name))
        .map(|(name, _)| format!("forbidden import: {name}"))
        .collect()
}

fn allowed<W: World>(import: &str) -> bool {
    let own = |interface: &&str| import == full_name(interface);
    let wasi = || {
        let package = import.split('/').next().unwrap_or(import);
        let version = import.rsplit('@').next().unwrap_or("");
        WASI.contains(&package) && version.starts_with("0.2.")
    };
    W::IMPORTS.iter().any(own) || wasi()
}

fn allowed_imports<W: World>() -> String {
    let own = W::IMPORTS.iter().map(|interface| full_name(interface));
    let wasi = format!("WASI 0.2 ({})", WASI.join(", "));
    own.chain([wasi]).collect::<Vec<_>>().join(", ")
}

/// The exports that the world asks for and the component lacks.
fn unfit_exports<W: World>(component: &Component) -> Vec<String> {
    let exports = exports(component);
    let mut problems = Vec::new();
    for (interface, functions) in W::EXPORTS {
        let wanted = full_name(interface);
        if exports.contains(&wanted) {
            problems.extend(missing_functions(component, &wanted, functions));
            continue;
        }
        let of_any_version = format!("{PACKAGE}/{}@", kebab(interface));
        problems.push(match exports.iter().find(|name| name.starts_with(&of_any_version)) {
            Some(other) => format!("export of another version: {other}, not {wanted}"),
            None => format!("missing export: {wanted}"),
        });
    }
    if !problems.is_empty() {
        problems.push(advice::<W>(&exports));
    }
    problems
}

fn missing_functions(component: &Component, interface: &str, functions: &[&str]) -> Vec<String> {
    let parent = component.get_export_index(None, interface);
    let missing = functions.iter().map(|function| kebab(function)).filter(|function| {
        parent.is_none_or(|parent| component.get_export_index(Some(&parent), function).is_none())
    });
    missing.map(|function| format!("incomplete export: {interface} has no function `{function}`")).collect()
}

/// What to do about exports that do not fit.
fn advice<W: World>(exports: &[String]) -> String {
    let fits = |interfaces: &[Export]| {
        interfaces.iter().all(|(interface, _)| exports.contains(&full_name(interface)))
    };
    let other = match () {
        () if fits(SamplingPolicy::EXPORTS) => Some(Slot::SamplingPolicy),
        () if fits(UsageTier::EXPORTS) => Some(Slot::UsageTier),
        () if fits(TripCalculator::EXPORTS) => Some(Slot::TripCalculator),
        () => None,
    };
    match other {
        Some(other) if other != W::SLOT => format!("it is a plugin for the slot {other}"),
        _ => format!("build it for the world `{}` of {PACKAGE}@{VERSION}: see wit/worlds.wit", W::SLOT),
    }
}

/// The interfaces that a component exports.
pub(super) fn exports(component: &Component) -> Vec<String> {
    let ty = component.component_type();
    ty.exports(component.engine())
        .filter(|(_, export)| matches!(export.ty, ComponentItem::ComponentInstance(_)))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// The interfaces that a component imports.
pub(super) fn imports(component: &Component) -> Vec<String> {
    let ty = component.component_type();
    ty.imports(component.engine()).map(|(name, _)| name.to_owned()).collect()
}

/// Resolves the imports, once for all instances.
fn link<W: World>(component: &Component) -> Result<InstancePre<Sandbox>, String> {
    let mut linker = Linker::<Sandbox>::new(component.engine());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)
        .and_then(|()| W::link(&mut linker))
        .map_err(|error| format!("the host cannot define its imports: {error:#}"))?;
    linker.instantiate_pre(component).map_err(|error| format!("import of another type: {error:#}"))
}
