//! The three worlds: which interfaces a slot's component may import and must
//! export, and how they are bound. What the calls mean is not known here.

use wasmtime::Store;
use wasmtime::component::{HasSelf, Instance, InstancePre, Linker, ResourceTable};

use super::Slot;
use super::bindings::{
    charging, costs, identity, live, progress, readings, sampling, soc_floor, tiers, trips, weather,
    wide_events,
};
use super::imports::Stages;
use super::sandbox::Sandbox;

/// A slot's world, as the functions of one instance.
pub(super) trait World: Sized + Send + Sync + 'static {
    /// Where the functions are in a component, found once for all instances.
    type Indices: Send + Sync;

    /// The slot.
    const SLOT: Slot;
    /// Interfaces of this package that a component may import, in snake case.
    const IMPORTS: &[&str];
    /// Interfaces of this package that a component must export.
    const EXPORTS: &[&str];

    /// Defines the imports.
    fn link(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()>;
    /// Finds the exports; the error lists what is missing.
    fn find(component: &InstancePre<Sandbox>) -> Result<Self::Indices, Vec<String>>;
    /// Binds the exports; the error lists what has another type.
    fn bind(
        indices: &Self::Indices,
        store: &mut Store<Sandbox>,
        instance: &Instance,
    ) -> Result<Self, Vec<String>>;
    /// The one interface that every world exports.
    fn identity(&self) -> &identity::Guest;
}

fn mistyped(interface: &str, error: &wasmtime::Error) -> String {
    let interface = interface.replace('_', "-");
    format!("export of another type: {interface}: {}", error.root_cause())
}

macro_rules! world {
    (
        $(#[$doc:meta])* $World:ident, $Indices:ident:
        imports { $($import:ident on $Data:ty),* }
        exports { $($export:ident),* }
    ) => {
        $(#[$doc])*
        pub(super) struct $World {
            $(pub(super) $export: $export::Guest),*
        }

        pub(super) struct $Indices {
            $($export: $export::GuestIndices),*
        }

        impl World for $World {
            type Indices = $Indices;

            const SLOT: Slot = Slot::$World;
            const IMPORTS: &[&str] = &[$(stringify!($import)),*];
            const EXPORTS: &[&str] = &[$(stringify!($export)),*];

            fn link(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
                $($import::add_to_linker::<_, HasSelf<$Data>>(linker, Sandbox::$import)?;)*
                let _ = linker;
                Ok(())
            }

            fn find(component: &InstancePre<Sandbox>) -> Result<$Indices, Vec<String>> {
                $(let $export = $export::GuestIndices::new(component);)*
                match ($($export,)*) {
                    ($(Ok($export),)*) => Ok($Indices { $($export),* }),
                    ($($export,)*) => Err([$($export.err()),*].into_iter().flatten()
                        .map(|error| format!("incomplete export: {error}")).collect()),
                }
            }

            fn bind(
                indices: &$Indices,
                store: &mut Store<Sandbox>,
                instance: &Instance,
            ) -> Result<Self, Vec<String>> {
                $(let $export = indices
                    .$export
                    .load(&mut *store, instance)
                    .map_err(|error| mistyped(stringify!($export), &error));)*
                match ($($export,)*) {
                    ($(Ok($export),)*) => Ok(Self { $($export),* }),
                    ($($export,)*) => Err([$($export.err()),*].into_iter().flatten()
                        .collect()),
                }
            }

            fn identity(&self) -> &identity::Guest {
                &self.identity
            }
        }
    };
}

world! {
    /// Decides which events are kept.
    SamplingPolicy, SamplingIndices:
    imports { wide_events on ResourceTable }
    exports { identity, sampling }
}

world! {
    /// Names the usage tier of a vehicle's owner.
    UsageTier, TierIndices:
    imports {}
    exports { identity, tiers }
}

world! {
    /// Says what a trip did.
    TripCalculator, TripIndices:
    imports { readings on ResourceTable, progress on Stages }
    exports { identity, trips, live, weather, charging, costs, soc_floor }
}
