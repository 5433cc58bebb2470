//! End-to-end tests: the real binary, over loopback. Each module is one area;
//! what they share is in the library of this package.

mod bad_input;
mod crashes;
mod demo;
mod events;
mod faults;
mod hostile_plugins;
mod lifecycle;
mod new_plugin;
mod plugin_files;
mod plugins;
mod real_drive;
mod sampling;
mod start_and_stop;
mod swaps;
mod volt;

/// One test, on both engines.
macro_rules! on_both_engines {
    ($($rule:ident)*) => {$(
        mod $rule {
            #[tokio::test]
            async fn on_sqlite() -> anyhow::Result<()> {
                super::$rule(e2e::Engine::Sqlite).await
            }
            #[tokio::test]
            async fn on_postgres() -> anyhow::Result<()> {
                super::$rule(e2e::Engine::Postgres).await
            }
        }
    )*};
}
use on_both_engines;
