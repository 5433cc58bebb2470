//! Every `bindgen!`: the WIT contract as Rust types. No code by hand belongs here.
#![allow(
    unsafe_code,
    missing_docs,
    clippy::pedantic,
    reason = "generated: lifting and lowering need unsafe; the WIT documents the items"
)]

// One world that includes all three: the records that two slots share (such as
// `plugin-info`) are then one Rust type each, and `exports::…::GuestIndices`
// still binds a component interface by interface.
wasmtime::component::bindgen!({
    inline: "
        package volttracker:host;
        world every-slot {
            include volttracker:plugins/sampling-policy@0.1.0;
            include volttracker:plugins/usage-tier@0.1.0;
            include volttracker:plugins/trip-calculator@0.1.0;
        }
    ",
    path: "../wit",
    imports: { default: trappable },
    exports: { default: async },
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema],
    with: {
        "volttracker:plugins/wide-events.wide-event": super::imports::EventHandle,
        "volttracker:plugins/readings.readings": super::imports::ReadingsHandle,
    },
});

pub use exports::volttracker::plugins::{
    charging, costs, identity, live, range, routes, sampling, soc_floor, tiers, trips, weather,
};
pub use volttracker::plugins::{progress, readings, wide_events};
