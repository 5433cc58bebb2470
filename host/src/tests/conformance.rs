//! The reference implementation's answers, asked where they hold: of the
//! decoder and the store, and of the compiled components in their sandbox.
//! Rules that answer for themselves are asked in the plugins' own tests.

mod policies;
mod torque;
mod track_logs;
mod trips;
mod vehicles;
mod weather;

use std::sync::Arc;

use vectors::Report;

use crate::plugin_host::PluginSet;

/// Any moment.
const AT_MS: i64 = 1_767_312_400_000;

const NOT_FINITE: &str = "a value that is not finite is no value";
const ZERO: &str = "0 is a value, not missing";

#[tokio::test]
async fn every_group_is_answered_as_by_the_reference_but_where_listed() {
    let mut report = Report::default();
    let plugins = components("").await;
    torque::ask(&mut report);
    track_logs::ask(&mut report);
    trips::ask(&mut report, &plugins).await;
    vehicles::ask(&mut report, &plugins).await;
    weather::ask(&mut report, &plugins).await;
    policies::ask(&mut report, &plugins).await;
    report.end(350, 91);
}

async fn components(calculator_settings: &str) -> Arc<PluginSet> {
    super::plugin_host(calculator_settings).await.pin()
}
