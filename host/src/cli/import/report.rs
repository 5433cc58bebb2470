//! What became of a file, in sentences or as JSON. Layout only.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// What a receiver said of a file in the end.
pub(super) struct Told {
    /// Whether it imported the file to its end.
    pub(super) imported: bool,
    /// Its counts; of a problem, what it is, too.
    pub(super) counts: Value,
    /// How long all of it took.
    pub(super) took: Duration,
}

/// What became of a file.
pub(super) struct Report {
    file: String,
    told: anyhow::Result<Told>,
}

impl Report {
    pub(super) fn of(path: &Path, told: anyhow::Result<Told>) -> Self {
        Self { file: path.display().to_string(), told }
    }

    pub(super) fn is_imported(&self) -> bool {
        self.told.as_ref().is_ok_and(|told| told.imported)
    }

    /// Prints it on standard output.
    pub(super) fn print(&self, as_json: bool) -> io::Result<()> {
        let text = if as_json { format!("{}\n", self.json()) } else { self.sentences() };
        let mut output = io::stdout().lock();
        output.write_all(text.as_bytes())?;
        output.flush()
    }

    fn json(&self) -> Value {
        let mut line = json!({ "file": self.file, "imported_to_its_end": self.is_imported() });
        match (&self.told, line.as_object_mut()) {
            (Ok(told), Some(line)) => line.extend(told.counts.as_object().cloned().unwrap_or_default()),
            (Err(error), Some(line)) => {
                line.insert("detail".to_owned(), format!("{error:#}").into());
            }
            _ => {}
        }
        line
    }

    fn sentences(&self) -> String {
        let file = &self.file;
        let Told { imported, counts, took } = match &self.told {
            Ok(told) => told,
            Err(error) => return format!("{file}: NOT IMPORTED: {error:#}\n"),
        };
        let mut text = format!("{file}: ");
        if !imported {
            let (detail, code) = (counts["detail"].as_str(), counts["code"].as_str());
            let (detail, code) = (detail.unwrap_or("for no reason given"), code.unwrap_or("?"));
            let _ = write!(text, "NOT IMPORTED: {detail} ({code})");
            text.push_str(if counts["rows"].is_null() { "\n" } else { "\n  until then " });
        }
        if !counts["rows"].is_null() {
            text.push_str(&counted(counts, *took));
        }
        text
    }
}

fn counted(counts: &Value, took: Duration) -> String {
    let number = |name: &str| counts[name].as_u64().unwrap_or_default();
    let mut parts = vec![format!("{} imported", number("imported"))];
    let conflicting = match number("conflicting") {
        0 => String::new(),
        some => format!(" ({some} of them with other content)"),
    };
    let already = format!("there already{conflicting}");
    for (name, what) in
        [("duplicates", already.as_str()), ("bad", "bad"), ("late", "too late for trips closed long ago")]
    {
        if number(name) > 0 {
            parts.push(format!("{} {what}", number(name)));
        }
    }
    let (rows, trips, created) = (number("rows"), number("trips_count"), number("trips_created"));
    let seconds = took.as_secs_f64().max(0.001);
    let mut text = format!(
        "{rows} rows: {}; in {trips} trip{} ({created} new), {seconds:.1} s, {:.0} rows/s\n",
        parts.join(", "),
        if trips == 1 { "" } else { "s" },
        rows as f64 / seconds
    );
    let named = counts["bad_rows"].as_array().map_or(&[][..], Vec::as_slice);
    for row in named {
        let _ = writeln!(text, "  line {}: {}", row["line"], row["reason"].as_str().unwrap_or("?"));
    }
    let more = (number("bad") + number("late")).saturating_sub(named.len() as u64);
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(imported: bool, counts: Value) -> String {
        let told = Told { imported, counts, took: Duration::from_secs(2) };
        Report::of(Path::new("log.csv"), Ok(told)).sentences()
    }

    #[test]
    fn what_became_of_a_file_is_told_in_sentences() {
        let counts = json!({
            "rows": 2400, "imported": 2380, "duplicates": 10, "conflicting": 1, "bad": 9, "late": 1,
            "trips_count": 2, "trips_created": 1, "bad_rows": [{"line": 17, "reason": "it has no time"}],
        });
        insta::assert_snapshot!(report(true, counts.clone()), @r"
        log.csv: 2400 rows: 2380 imported, 10 there already (1 of them with other content), 9 bad, 1 too late for trips closed long ago; in 2 trips (1 new), 2.0 s, 1200 rows/s
          line 17: it has no time
          and 9 more
        ");
        let mut stopped = json!({ "rows": 10, "imported": 4, "trips_count": 1, "trips_created": 1 });
        stopped["detail"] = "the service is shutting down".into();
        stopped["code"] = "E503".into();
        insta::assert_snapshot!(report(false, stopped), @r"
        log.csv: NOT IMPORTED: the service is shutting down (E503)
          until then 10 rows: 4 imported; in 1 trip (1 new), 2.0 s, 5 rows/s
        ");
        let refused = json!({ "detail": "the file has no row of values", "code": "E305" });
        insta::assert_snapshot!(report(false, refused), @"log.csv: NOT IMPORTED: the file has no row of values (E305)");
    }
}
