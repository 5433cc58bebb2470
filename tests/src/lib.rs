//! What the end-to-end tests drive the receiver with: the real binary as a
//! child process, raw HTTP as the phone speaks it, and a look into its
//! database. No test and no expectation lives here.

mod backlog;
mod binary;
mod cluster;
pub mod collector;
mod contract;
mod database;
mod inbox;
mod load;
pub mod open_meteo;
mod phone;
mod process;
mod promtool;
mod random;
mod server;
mod settings;
pub mod volt;

pub use backlog::{Answered, Backlog, Point};
pub use binary::{binary, guest, plugin_dir, project_root};
pub use cluster::{Cluster, Stop};
pub use contract::violation;
pub use database::{Database, Engine, Look};
pub use inbox::{Inbox, built, enlarged, variant};
pub use load::{Load, Sent, percentile};
pub use phone::{Answer, get, raw, raw_from, upload, upload_all};
pub use process::{Process, raise_open_files};
pub use promtool::promtool;
pub use random::Random;
pub use server::{Refused, Server, Stopped};
pub use settings::Settings;

/// A client of the receiver's API. It speaks no TLS, and so needs no
/// certificates.
///
/// # Errors
/// It cannot be made.
pub fn http_client() -> anyhow::Result<reqwest::Client> {
    // Installed once; whoever comes second has nothing to do.
    rustls::crypto::ring::default_provider().install_default().ok();
    Ok(reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?)
}

/// One test, on both engines.
#[macro_export]
macro_rules! on_both_engines {
    ($($rule:ident)*) => {$(
        mod $rule {
            #[tokio::test]
            async fn on_sqlite() -> anyhow::Result<()> {
                super::$rule($crate::Engine::Sqlite).await
            }
            #[tokio::test]
            async fn on_postgres() -> anyhow::Result<()> {
                super::$rule($crate::Engine::Postgres).await
            }
        }
    )*};
}
