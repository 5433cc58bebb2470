//! The real binary under load and in trouble: killed, stopped, kept from its
//! store, crowded. A binary of its own, so that what it asks of the machine
//! delays no test with a deadline.

mod account;
mod kill_rounds;
mod ledger;
mod overload;
mod stop_under_load;
mod unwritable;

use e2e::{on_both_engines, volt};
