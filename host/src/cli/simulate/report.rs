//! What the command prints on stdout: the truth of each drive, and the server's figures
//! beside it. Layout only.

use std::fmt::Write as _;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::output;
use crate::simulate::{ChargeTruth, Comparison, FillTruth, Identity, Truth};

/// Everything known of one vehicle's run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Number of the vehicle in this run, from 1.
    pub vehicle: u32,
    /// Name of the vehicle's profile.
    pub profile_name: String,
    /// The session's text.
    pub session: String,
    /// The session's UUID, as the server knows it.
    pub session_id: String,
    /// Readings the server acknowledged.
    pub readings_sent: u64,
    /// Uploads that had to be sent again.
    pub resends: u32,
    /// Time of the first reading.
    pub start_time: Timestamp,
    /// Time of the last reading.
    pub end_time: Timestamp,
    /// Time of the first reading with a running engine.
    pub gas_entry_time: Option<Timestamp>,
    /// The figures.
    #[serde(flatten)]
    pub truth: Truth,
    /// What was charged, if the car stood at its charger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge: Option<ChargeTruth>,
    /// What was filled in since the session before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill: Option<FillTruth>,
    /// The server's figures beside the truth, once checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Vec<Comparison>>,
}

impl Report {
    /// The report of a finished drive.
    ///
    /// # Errors
    /// When a time is outside the calendar.
    pub fn new(
        vehicle: u32,
        identity: &Identity,
        truth: Truth,
        readings_sent: u64,
        resends: u32,
    ) -> anyhow::Result<Self> {
        let at = |after_ms: u64| {
            let time_ms = identity.start_ms.saturating_add_unsigned(after_ms);
            Timestamp::from_millisecond(time_ms).context("a time outside the calendar")
        };
        Ok(Self {
            vehicle,
            profile_name: identity.profile_name.clone(),
            session: identity.session(),
            session_id: identity.session_id().to_string(),
            readings_sent,
            resends,
            start_time: at(0)?,
            end_time: at(truth.duration_ms)?,
            gas_entry_time: truth.gas_entry_after_ms.map(at).transpose()?,
            truth,
            charge: None,
            fill: None,
            check: None,
        })
    }

    /// Names of the figures outside their tolerance.
    pub fn failed_figures(&self) -> impl Iterator<Item = &'static str> {
        let rows = self.check.iter().flatten();
        rows.filter(|row| !row.ok).map(|row| row.figure)
    }
}

/// Prints the truth of all drives.
///
/// # Errors
/// When the reports cannot be written as JSON.
pub fn print(reports: &[Report], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return print_json(json!({ "vehicles": reports }));
    }
    output::print(&truth_table(reports))
}

/// Prints the server's figures beside the truth; JSON has the truth in the same document.
///
/// # Errors
/// When the reports cannot be written as JSON.
pub fn print_check(reports: &[Report], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let passed = reports.iter().all(|r| r.failed_figures().next().is_none());
        return print_json(json!({ "vehicles": reports, "passed": passed }));
    }
    let tables = reports.iter().map(|report| format!("\n{}", check_table(report)));
    output::print(&tables.collect::<String>())
}

pub(super) fn print_json(mut document: Value) -> anyhow::Result<()> {
    round(&mut document);
    let text = serde_json::to_string_pretty(&document).context("could not write the JSON")?;
    output::print(&format!("{text}\n"))
}

/// Four digits after the point are more than any figure here is known to.
fn round(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let rounded = number.as_f64().map(|f| (f * 1e4).round() / 1e4);
            *value = json!(rounded);
        }
        Value::Array(items) => items.iter_mut().for_each(round),
        Value::Object(fields) => fields.values_mut().for_each(round),
        _ => {}
    }
}

/// One line per vehicle with the figures, one with its identity.
fn truth_table(reports: &[Report]) -> String {
    let mut text = String::from(
        "What is true of each drive\n\
         vehicle   readings   miles  electric     gas     kWh  kWh/mi  entry SOC %  gallons   mpg  ambient °F\n",
    );
    for report in reports {
        let truth = &report.truth;
        let _ = writeln!(
            text,
            "{:<9} {:>8} {:>7.2} {:>9.2} {:>7.2} {:>7.2} {:>7} {:>12} {:>8} {:>5} {:>11.1}",
            report.profile_name,
            report.readings_sent,
            truth.distance_miles,
            truth.electric_miles,
            truth.gas_miles,
            truth.electric_kwh,
            or_dash(truth.kwh_per_mile, 3),
            or_dash(truth.soc_at_gas_transition, 1),
            or_dash(truth.fuel_used_gallons, 3),
            or_dash(truth.gas_mpg, 1),
            truth.ambient_avg_f,
        );
    }
    text.push('\n');
    reports.iter().for_each(|report| text.push_str(&identity_lines(report)));
    text
}

/// Which session it was, and when.
fn identity_lines(report: &Report) -> String {
    let entry = report
        .gas_entry_time
        .map_or_else(|| "no gas mode".to_owned(), |time| format!("gas mode from {time}"));
    let Report { profile_name, session, session_id, start_time, end_time, .. } = report;
    format!(
        "{profile_name}: session {session} = {session_id}\n         {start_time} to {end_time}, {entry}\n"
    )
}

/// One line per figure of a vehicle.
fn check_table(report: &Report) -> String {
    let mut text = format!(
        "{}: the server's trip beside the truth\n{:<22} {:>10} {:>10} {:>11}  {:<18} \n",
        report.profile_name, "figure", "truth", "server", "difference", "allowed"
    );
    for row in report.check.iter().flatten() {
        let difference =
            row.difference_percent.map_or_else(String::new, |percent| format!("{percent:+.1} %"));
        let verdict = if row.ok { "ok" } else { "DIFFERS" };
        let decimals = if row.figure == "readings" { 0 } else { 3 };
        let _ = writeln!(
            text,
            "{:<22} {:>10} {:>10} {difference:>11}  {:<18} {verdict}",
            row.figure,
            or_dash(row.truth, decimals),
            or_dash(row.server, decimals),
            row.allowed,
        );
    }
    text
}

pub(super) fn or_dash(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
}
