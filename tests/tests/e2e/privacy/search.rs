//! The search for secrets in all that a receiver said, sent and kept. What is
//! secret, and where it was put, is not known here.

use std::path::Path;

use e2e::collector::Collector;
use e2e::{Engine, Server};
use serde_json::Value;

/// Something that is searched.
pub struct Searched {
    name: String,
    /// As it is, and with its escapes read as often as anybody may have written
    /// them; in small letters.
    forms: Vec<Vec<u8>>,
    /// Whether readings are kept there, which have their positions.
    pub holds_readings: bool,
}

impl Searched {
    pub fn new(name: impl Into<String>, bytes: &[u8]) -> Self {
        let mut forms = vec![bytes.to_ascii_lowercase()];
        for _ in 0..3 {
            let unescaped = unescaped(&forms[forms.len() - 1]);
            forms.push(unescaped);
        }
        Self { name: name.into(), forms, holds_readings: false }
    }

    /// Which of these it holds, and what is around them.
    pub fn found(&self, secrets: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for secret in secrets {
            let needle = secret.to_ascii_lowercase();
            let hit = self.forms.iter().find_map(|form| {
                let at = form.windows(needle.len()).position(|window| window == needle.as_bytes())?;
                let around = &form[at.saturating_sub(120)..(at + needle.len() + 80).min(form.len())];
                Some(String::from_utf8_lossy(around).into_owned())
            });
            found.extend(hit.map(|around| format!("{secret} in {}: …{around}…", self.name)));
        }
        found
    }
}

/// What a form's reader makes of it, once.
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut read, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                read.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                read.push(byte);
                at += 1;
            }
        }
    }
    read.make_ascii_lowercase();
    read
}

/// All that a receiver, now stopped, has said, sent and kept.
pub async fn everything_of(
    server: &Server,
    events: &[Value],
    collector: &Collector,
    searched: &mut Vec<Searched>,
) -> anyhow::Result<()> {
    for event in events {
        searched.push(Searched::new("standard output", event.to_string().as_bytes()));
    }
    searched.push(Searched::new("standard error", server.stderr().as_bytes()));
    for request in collector.requests() {
        searched.push(Searched::new("the collector", request.message.to_string().as_bytes()));
    }
    files(server.data_dir(), searched)?;
    if server.engine() == Engine::Postgres {
        for row in server.look().await?.everything().await? {
            let row = Searched::new("a row", row.as_bytes());
            searched.push(Searched { holds_readings: true, ..row });
        }
    }
    Ok(())
}

/// Every file in a folder, byte by byte.
fn files(folder: &Path, searched: &mut Vec<Searched>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, searched)?;
            continue;
        }
        let file = Searched::new(path.display().to_string(), &std::fs::read(&path)?);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        searched.push(Searched { holds_readings: name.starts_with("volttracker.db"), ..file });
    }
    Ok(())
}

/// Every kind of place was looked at, and had something in it.
pub fn assert_sound(searched: &[Searched]) {
    for name in ["standard output", "standard error", "the collector", "/metrics", "/api/status"] {
        let place = searched.iter().find(|place| place.name == name);
        assert!(place.is_some_and(|place| !place.forms[0].is_empty()), "{name}");
    }
    let named = |part: &str| searched.iter().any(|place| place.name.contains(part));
    assert!(named("/events/"), "files of events");
    assert!(named(".db") || named("a row"), "a database");
    // What is there is found.
    let marked = |place: &&Searched| !place.found(&["telemetry_upload"]).is_empty();
    assert!(searched.iter().filter(marked).count() > 10);
}
