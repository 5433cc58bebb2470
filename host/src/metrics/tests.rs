//! What is exposed is what the list of families says; the alerts and the
//! dashboard in `docs/`, which rely on it, are made and checked here.

mod alerts;
mod dashboard;
mod promql;

use std::collections::{BTreeMap, BTreeSet};

use clap::Parser;

use super::families;
use super::gathering::gather;
use crate::config::Config;
use crate::events::sink::Sinks;
use crate::plugin_host::tests::plugin_dir;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: Config,
}

/// The labels of a sample's line, by name.
fn labels(line: &str) -> BTreeMap<&str, &str> {
    let inner = line.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(inner, _)| inner);
    let pairs = inner.into_iter().flat_map(|inner| inner.split("\","));
    pairs
        .map(|pair| pair.split_once("=\"").expect("a label and its value"))
        .map(|(name, value)| (name, value.trim_end_matches('"')))
        .collect()
}

#[tokio::test]
async fn every_family_is_exposed_with_its_meaning_and_labels() {
    let (plugins, data) = (plugin_dir(""), tempfile::tempdir().expect("temporary directory"));
    let flags = ["volttracker", "--deployment-id", "prod-1", "--plugin-dir"].map(std::ffi::OsStr::new);
    let paths = [plugins.path().as_os_str(), "--data-dir".as_ref(), data.path().as_os_str()];
    let cli = Cli::try_parse_from(flags.into_iter().chain(paths)).expect("flags");
    let started = crate::app::start(
        &cli.config,
        crate::plugin_host::Compiling::InPlace,
        Sinks::memory(std::sync::Arc::default()),
        std::future::pending(),
    );
    let (app, ..) = started.await.expect("a start").expect("nobody stops it");
    let text = gather(&app, 1.5).await.into_text().expect("a text");
    app.store.close(std::time::Duration::from_secs(10)).await;

    for family in families::ALL {
        let name = family.name;
        assert!(text.contains(&format!("\n# HELP {name} ")) || text.starts_with(&format!("# HELP {name} ")));
        assert!(text.contains(&format!("\n# TYPE {name} ")), "{name}");
        let samples: Vec<_> = text
            .lines()
            .filter(|line| {
                let sampled = promql::family(line.split(['{', ' ']).next().unwrap_or_default());
                sampled.is_some_and(|sampled| sampled.name == name)
            })
            .collect();
        assert!(!samples.is_empty(), "{name} has no sample");
        for sample in samples {
            let labels = labels(sample);
            let named: BTreeSet<_> = labels.keys().filter(|label| **label != "le").copied().collect();
            assert_eq!(named, family.labels.iter().copied().collect(), "{sample}");
            for (label, value) in labels {
                let known = family.values(label);
                let is_known =
                    known.is_none_or(|values| value == "+Inf" || values.iter().any(|known| known == value));
                assert!(is_known, "{sample}");
            }
        }
    }
    assert!(text.contains("\nvolttracker_events_total{operation=\"telemetry_upload\",outcome=\"success\",code=\"\",usage_tier=\"\"} 0\n"));
    assert!(text.contains("process_start_time_seconds 1.5\n"));
}
