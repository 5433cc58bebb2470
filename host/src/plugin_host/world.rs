//! The three worlds: which interfaces a slot's component may import and must
//! export, and how they are bound. What the calls mean is not known here.

use wasmtime::Store;
use wasmtime::component::{
    ComponentNamedList, HasSelf, Instance, InstancePre, Lift, Linker, Lower, Resource, ResourceTable,
};

use super::Slot;
use super::bindings::{
    charging, costs, identity, live, progress, range, readings, routes, sampling, soc_floor, tiers, trips,
    weather, wide_events,
};
use super::imports::{EventHandle, ReadingsHandle, Stages};
use super::sandbox::Sandbox;

/// The package whose interfaces a plugin imports and exports, and its version.
pub(super) const PACKAGE: &str = "volttracker:plugins";
pub(super) const VERSION: &str = "0.1.0";

/// An interface of the package in full: `volttracker:plugins/trips@0.1.0`.
pub(super) fn full_name(interface: &str) -> String {
    format!("{PACKAGE}/{}@{VERSION}", kebab(interface))
}

/// A name as WIT writes it.
pub(super) fn kebab(name: &str) -> String {
    name.replace('_', "-")
}

/// An exported interface: its name and those of its functions, in snake case.
pub(super) type Export = (&'static str, &'static [&'static str]);

/// A slot's world, as the functions of one instance.
pub(super) trait World: Sized + Send + Sync + 'static {
    /// Where the functions are in a component, found once for all instances.
    type Indices: Send + Sync;

    /// The slot.
    const SLOT: Slot;
    /// Interfaces of this package that a component may import, in snake case.
    const IMPORTS: &[&str];
    /// Interfaces of this package that a component must export.
    const EXPORTS: &[Export];

    /// Defines the imports.
    fn link(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()>;
    /// Finds the exports.
    fn find(component: &InstancePre<Sandbox>) -> wasmtime::Result<Self::Indices>;
    /// Binds the exports; the error lists the functions of another type.
    fn bind(
        indices: &Self::Indices,
        store: &mut Store<Sandbox>,
        instance: &Instance,
    ) -> Result<Self, Vec<String>>;
    /// The one interface that every world exports.
    fn identity(&self) -> &identity::Guest;
}

/// What is wrong with the type of an exported function, if anything is.
fn mistyped<Params, Answer>(
    store: &mut Store<Sandbox>,
    instance: &Instance,
    interface: &str,
    function: &str,
) -> Option<String>
where
    Params: ComponentNamedList + Lower,
    Answer: ComponentNamedList + Lift,
{
    let parent = instance.get_export_index(&mut *store, None, &full_name(interface))?;
    let index = instance.get_export_index(&mut *store, Some(&parent), &kebab(function))?;
    let error = instance.get_typed_func::<Params, Answer>(store, index).err()?;
    // The outermost error says that the types differ, which is said here.
    let causes: Vec<_> = error.chain().skip(1).map(ToString::to_string).collect();
    let (interface, function) = (kebab(interface), kebab(function));
    Some(format!("export of another type: {interface}.{function}: {}", causes.join(": ")))
}

macro_rules! world {
    (
        $(#[$doc:meta])* $World:ident, $Indices:ident:
        imports { $($import:ident on $Data:ty),* }
        exports { $($export:ident {
            $($function:ident($($Param:ty),*) -> $Answer:ty),*
        })* }
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
            const EXPORTS: &[Export] = &[$((stringify!($export), &[$(stringify!($function)),*])),*];

            fn link(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
                $($import::add_to_linker::<_, HasSelf<$Data>>(linker, Sandbox::$import)?;)*
                let _ = linker;
                Ok(())
            }

            fn find(component: &InstancePre<Sandbox>) -> wasmtime::Result<$Indices> {
                Ok($Indices { $($export: $export::GuestIndices::new(component)?),* })
            }

            fn bind(
                indices: &$Indices,
                store: &mut Store<Sandbox>,
                instance: &Instance,
            ) -> Result<Self, Vec<String>> {
                $(let $export = indices.$export.load(&mut *store, instance);)*
                match ($($export,)*) {
                    ($(Ok($export),)*) => Ok(Self { $($export),* }),
                    ($($export,)*) => {
                        let mut problems: Vec<String> = [$($(mistyped::<($($Param,)*), ($Answer,)>(
                            store,
                            instance,
                            stringify!($export),
                            stringify!($function),
                        )),*),*].into_iter().flatten().collect();
                        if problems.is_empty() {
                            let errors = [$($export.err()),*].into_iter().flatten();
                            problems.extend(errors.map(|error| format!("{error:#}")));
                        }
                        Err(problems)
                    }
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
    exports {
        identity {
            describe() -> identity::PluginInfo,
            configure(Vec<(String, String)>) -> Result<(), String>
        }
        sampling {
            decide(sampling::Facts, Resource<EventHandle>) -> sampling::Verdict
        }
    }
}

world! {
    /// Names the usage tier of a vehicle's owner.
    UsageTier, TierIndices:
    imports {}
    exports {
        identity {
            describe() -> identity::PluginInfo,
            configure(Vec<(String, String)>) -> Result<(), String>
        }
        tiers {
            classify(tiers::VehicleStats) -> String
        }
    }
}

world! {
    /// Says what a trip did.
    TripCalculator, TripIndices:
    imports { readings on ResourceTable, progress on Stages }
    exports {
        identity {
            describe() -> identity::PluginInfo,
            configure(Vec<(String, String)>) -> Result<(), String>
        }
        trips {
            summarize(trips::Trip, Resource<ReadingsHandle>) -> Result<trips::Summary, trips::Failure>
        }
        live {
            figures_of(live::Point, live::Point) -> live::Figures
        }
        weather {
            condition(Option<i32>) -> String,
            assess(Vec<weather::Sample>) -> Option<weather::Impact>
        }
        charging {
            sessions(Resource<ReadingsHandle>) -> Vec<charging::Session>
        }
        costs {
            cost_of(costs::Usage) -> costs::Cost
        }
        soc_floor {
            floor_of(Vec<trips::SocTransition>) -> soc_floor::Floor
        }
        range {
            predict(f64, f64) -> Option<f64>
        }
        routes {
            match_route(routes::Ends, Vec<routes::Ends>) -> Option<u32>
        }
    }
}
