//! What the store promises, shown on both engines. `homes()` gives each test a
//! fresh SQLite file and, where TEST_POSTGRES_URL is set, a fresh PostgreSQL
//! database: `tests/with-postgres.sh cargo test -p volttracker store` sets it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod beside_readings;
mod cars;
mod claiming;
mod closing;
mod components;
mod connections;
mod filtering;
mod findings;
pub(crate) mod home;
mod hosts;
mod lock_order;
mod migrating;
pub(crate) mod model;
mod on_request;
mod outages;
mod plans;
mod plugins;
mod previous_fuel;
mod reading_back;
mod remembering;
mod totals;
mod uploads;
mod watching;
