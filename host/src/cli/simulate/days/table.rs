//! The days as people read them: a line a session, and what of the server differs.

use std::fmt::Write as _;

use super::Life;
use crate::cli::simulate::report::{Report, or_dash};
use crate::simulate::Comparison;

/// One line of a drive or a charge.
pub fn session(report: &Report) -> String {
    let Report { profile_name, start_time, truth, .. } = report;
    let fill = report
        .fill
        .as_ref()
        .map_or_else(String::new, |fill| format!(", {:.2} gal filled before", fill.gallons));
    let what = match &report.charge {
        Some(charge) => {
            format!("charged {:.1} to {:.1} %, {:.2} kWh", charge.start_soc, charge.end_soc, charge.kwh_added)
        }
        None => format!(
            "drove {:.2} mi ({:.2} electric, {:.2} gas)",
            truth.distance_miles, truth.electric_miles, truth.gas_miles
        ),
    };
    let minutes = truth.duration_ms / 60_000;
    format!("{profile_name} {start_time}: {what} in {minutes} min{fill}")
}

/// What is true of all sessions.
pub fn truth(lives: &[Life]) -> String {
    let mut text = String::from("What is true of each session\n");
    for life in lives {
        life.sessions.iter().for_each(|report| {
            let _ = writeln!(text, "{}", session(report));
        });
        let (name, totals) = (&life.profile_name, &life.totals);
        let _ = writeln!(text, "{name}: {} sessions, {:.2} mi\n", totals.trips, totals.miles);
    }
    text
}

/// How many figures of the server were compared, and those that differ.
pub fn check(lives: &[Life]) -> String {
    let (mut count, mut text) = (0, String::new());
    for life in lives {
        let of_sessions = life.sessions.iter().map(|report| (report.start_time.to_string(), &report.check));
        for (whose, rows) in of_sessions.chain([("in all".to_owned(), &life.check)]) {
            let rows: Vec<&Comparison> = rows.iter().flatten().collect();
            count += rows.len();
            for row in rows.into_iter().filter(|row| !row.ok) {
                let (truth, server) = (or_dash(row.truth, 3), or_dash(row.server, 3));
                let (name, figure, allowed) = (&life.profile_name, row.figure, &row.allowed);
                let _ = writeln!(
                    text,
                    "DIFFERS: {name}, {whose}: {figure} is {truth}, the server says {server} (allowed: {allowed})"
                );
            }
        }
    }
    let verdict = if text.is_empty() { ", all within their tolerances" } else { "; these differ:" };
    format!("{count} figures of the server compared{verdict}\n{text}")
}
