//! What the end-to-end tests drive the receiver with: the real binary as a
//! child process, raw HTTP as the phone speaks it, and a look into its
//! database. No test and no expectation lives here.

mod binary;
mod database;
mod inbox;
mod load;
mod phone;
mod server;

pub use binary::{binary, guest, plugin_dir, project_root};
pub use database::{Database, Engine, Look};
pub use inbox::{Inbox, built, variant};
pub use load::{Load, Sent, percentile};
pub use phone::{Answer, get, raw, upload, upload_all};
pub use server::{Refused, Server, Settings};
