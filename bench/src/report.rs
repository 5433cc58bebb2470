//! What was measured, as tables and as JSON: medians with the least and the
//! most, and ratios that are taken within each round.

use std::fmt::Write as _;
use std::process::Command;

use serde::Serialize;

use crate::Options;
use crate::events::Costs;
use crate::rounds::{Measured, Turn};
use crate::variants::{Kept, Variant};

/// The whole result.
#[derive(Serialize)]
pub struct Report {
    machine: Machine,
    rounds: u32,
    seconds: u32,
    connections: u32,
    threads: u32,
    servers: Vec<Row>,
    ratios: Vec<Ratio>,
    event_fields: usize,
    event_bytes: usize,
    events: Vec<EventRow>,
}

/// Where it was measured.
#[derive(Serialize)]
struct Machine {
    cores: usize,
    processor: String,
    kernel: String,
    rustc: String,
    /// Mean number of runnable processes in the last minute.
    load: String,
}

#[derive(Serialize)]
struct Row {
    server: Variant,
    per_second: Spread,
    p50_ms: Spread,
    p99_ms: Spread,
    cpu_us: Spread,
    answered: u64,
    kept: Kept,
}

#[derive(Serialize)]
struct Ratio {
    of: Variant,
    to: Variant,
    per_second: Spread,
}

/// Processor time for an event, beside that of a bare `serde_json` of it.
#[derive(Serialize)]
struct EventRow {
    what: &'static str,
    cpu_us: Spread,
    ratio: Spread,
}

/// A figure over all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let middle = figures.len() / 2;
        let median = match figures.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => figures[middle],
            _ => f64::midpoint(figures[middle - 1], figures[middle]),
        };
        let end = |figure: Option<&f64>| figure.copied().unwrap_or(f64::NAN);
        Self { median, least: end(figures.first()), most: end(figures.last()) }
    }

    fn show(self, digits: usize) -> String {
        let Self { median, least, most } = self;
        format!("{median:.digits$} ({least:.digits$}–{most:.digits$})")
    }
}

impl Report {
    /// Sums up.
    pub fn of(measured: &[Measured], events: &Costs, options: &Options) -> Self {
        let ratio = |of, to| Ratio { of, to, per_second: ratio(measured, of, to) };
        let event = |what, figures: &[f64]| EventRow::of(what, figures, &events.serialized_us);
        Self {
            machine: Machine::here(),
            rounds: options.rounds,
            seconds: options.seconds,
            connections: options.connections,
            threads: options.threads,
            servers: measured.iter().map(Row::of).collect(),
            ratios: vec![
                ratio(Variant::Empty, Variant::Minimal),
                ratio(Variant::Empty, Variant::Unread),
                ratio(Variant::History, Variant::Empty),
                ratio(Variant::Minimal, Variant::Bare),
            ],
            event_fields: events.fields,
            event_bytes: events.bytes,
            events: vec![
                event("`serde_json` of the same event", &events.serialized_us),
                event("event built, decided, dropped", &events.dropped_us),
                event("event built, decided, kept, to stdout", &events.kept_us),
            ],
        }
    }

    /// The tables.
    pub fn to_markdown(&self) -> String {
        let Machine { cores, processor, kernel, rustc, load } = &self.machine;
        let mut text = format!(
            "{cores} cores ({processor}), Linux {kernel}, {rustc}; load average {load}. Median (least–most) of \
             {} rounds.\n",
            self.rounds
        );
        if !self.servers.is_empty() {
            self.add_servers(&mut text);
        }
        self.add_events(&mut text);
        text
    }

    fn add_servers(&self, text: &mut String) {
        let Self { seconds, connections, threads, .. } = self;
        line(
            text,
            format_args!(
                "\n{seconds} s a server and round, {connections} connections, wrk with {threads} threads on the \
                 same cores.\n\n\
                 | server | uploads/s | p50 ms | p99 ms | server CPU µs/upload | not 200 |\n\
                 |---|--:|--:|--:|--:|--:|"
            ),
        );
        for Row { server, per_second, p50_ms, p99_ms, cpu_us, .. } in &self.servers {
            let figures = [per_second.show(0), p50_ms.show(2), p99_ms.show(2), cpu_us.show(1)].join(" | ");
            // A run with any other answer fails.
            line(text, format_args!("| {} | {figures} | 0 |", server.name()));
        }
        text.push_str("\n| ratio of uploads/s | |\n|---|--:|\n");
        for Ratio { of, to, per_second } in &self.ratios {
            line(text, format_args!("| {} ÷ {} | {} |", of.name(), to.name(), per_second.show(3)));
        }
        text.push_str(
            "\n| server | answered `OK!` | readings kept | duplicates | events | written | of these unasked |\n\
             |---|--:|--:|--:|--:|--:|--:|\n",
        );
        for Row { server, answered, kept, .. } in self.servers.iter().filter(|row| row.kept.readings > 0) {
            let Kept { readings, duplicates, events, events_written, events_overload } = kept;
            let counts = format_args!("{answered} | {readings} | {duplicates} | {events} | {events_written}");
            line(text, format_args!("| {} | {counts} | {events_overload} |", server.name()));
        }
    }

    fn add_events(&self, text: &mut String) {
        let Self { event_fields, event_bytes, .. } = self;
        line(
            text,
            format_args!(
                "\n| an upload's event: {event_fields} fields, {event_bytes} bytes | CPU µs | ÷ `serde_json` |\n\
                 |---|--:|--:|"
            ),
        );
        for EventRow { what, cpu_us, ratio } in &self.events {
            line(text, format_args!("| {what} | {} | {} |", cpu_us.show(2), ratio.show(2)));
        }
    }
}

impl EventRow {
    fn of(what: &'static str, figures: &[f64], control: &[f64]) -> Self {
        let ratio = figures.iter().zip(control).map(|(figure, control)| figure / control);
        Self { what, cpu_us: Spread::of(figures.iter().copied()), ratio: Spread::of(ratio) }
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    writeln!(text, "{line}").ok();
}

/// Uploads a second of two servers, round by round.
fn ratio(measured: &[Measured], of: Variant, to: Variant) -> Spread {
    let turns =
        |variant| measured.iter().filter(move |one| one.variant == variant).flat_map(|one| &one.turns);
    Spread::of(turns(of).zip(turns(to)).map(|(of, to)| of.per_second / to.per_second))
}

impl Row {
    fn of(measured: &Measured) -> Self {
        let spread = |figure: fn(&Turn) -> f64| Spread::of(measured.turns.iter().map(figure));
        Self {
            server: measured.variant,
            per_second: spread(|turn| turn.per_second),
            p50_ms: spread(|turn| turn.p50_ms),
            p99_ms: spread(|turn| turn.p99_ms),
            cpu_us: spread(|turn| turn.cpu_us),
            answered: measured.answered,
            kept: measured.kept,
        }
    }
}

impl Machine {
    fn here() -> Self {
        let read = |file| std::fs::read_to_string(file).unwrap_or_default();
        let processor = read("/proc/cpuinfo");
        let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let rustc = Command::new("rustc").arg("--version").output();
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: processor.map_or("unknown", |(_, name)| name).to_owned(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            rustc: rustc.map_or_else(
                |_| "unknown compiler".to_owned(),
                |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            ),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0].into_iter());
        assert_eq!(spread, Spread { median: 2.5, least: 1.0, most: 4.0 });
    }
}
