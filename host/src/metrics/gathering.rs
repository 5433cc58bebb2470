//! Reads what is counted where it is counted. Nothing here walks through a table
//! at each scrape, and nothing waits long for the store.

use super::exposition::Exposition;
use super::families::{self, Family};
use crate::app::{App, UPLOADS};
use crate::events::{Code, EventCount, Events};
use crate::plugin_host::{PluginSet, Slot, WASMTIME_VERSION};
use crate::weather::Weather;

/// All metrics, now.
pub(super) async fn gather(app: &App, started_seconds: f64) -> Exposition {
    let mut metrics = Exposition::default();
    let [version, environment, deployment_id, region] = app.events.deployment().map(str::to_owned);
    let build = [version, environment, deployment_id, region, WASMTIME_VERSION.to_owned()];
    metrics.add(&families::BUILD_INFO, [(build, 1.0)]);
    metrics.add_one(&families::START_TIME, started_seconds);
    add_events(&mut metrics, &app.events);
    add_ledger(&mut metrics, &app.events);
    add_uploads(&mut metrics, app);
    add_trips(&mut metrics, app).await;
    add_plugins(&mut metrics, &app.plugins.pin());
    if let Some(weather) = &app.weather {
        add_weather(&mut metrics, weather);
    }
    metrics
}

fn add_events(metrics: &mut Exposition, events: &Events) {
    let counts = events.counts();
    let labels = |counted: EventCount<'_>| {
        let EventCount { operation, outcome, code, usage_tier, count } = counted;
        let (code, tier) = (code.map_or("", Code::as_str), usage_tier.unwrap_or_default());
        ([operation.as_str(), outcome.as_str(), code, tier].map(str::to_owned), count as f64)
    };
    metrics.add(&families::EVENTS, counts.events().map(labels));
    let durations = counts.durations().map(|(operation, outcome, durations)| {
        ([operation.as_str(), outcome.as_str()].map(str::to_owned), durations)
    });
    metrics.add_distributions(&families::EVENT_DURATION, durations);
    let errors = counts
        .errors()
        .map(|(code, count)| ([code.as_str(), code.category().as_str()].map(str::to_owned), count as f64));
    metrics.add(&families::ERRORS, errors);
}

fn add_ledger(metrics: &mut Exposition, events: &Events) {
    let totals = events.totals();
    let mut add = |family: &Family, count: u64| metrics.add_one(family, count as f64);
    add(&families::RECEIVED, totals.received);
    add(&families::KEPT, totals.kept);
    add(&families::SAMPLED_OUT, totals.sampled_out);
    add(&families::LOST_BY_SINK, totals.lost_by_sink);
    let waiting = events.waiting().enumerate().map(|(task, length)| ([task.to_string()], length as f64));
    metrics.add(&families::EVENT_QUEUE, waiting);
    let sinks = events.sinks();
    let settled = sinks.iter().flat_map(|(sink, totals)| {
        let results = [("delivered", totals.delivered), ("lost", totals.lost)];
        results.map(|(result, count)| ([*sink, result].map(str::to_owned), count as f64))
    });
    metrics.add(&families::SINK_EVENTS, settled);
    let waiting = sinks.iter().map(|(sink, totals)| ([(*sink).to_owned()], totals.waiting as f64));
    metrics.add(&families::SINK_QUEUE, waiting);
}

fn add_uploads(metrics: &mut Exposition, app: &App) {
    let under_way = UPLOADS as usize - app.uploads.available_permits();
    metrics.add_one(&families::UPLOADS_UNDER_WAY, under_way as f64);
    let writer = app.store.writer_load();
    metrics.add_one(&families::WRITE_QUEUE, writer.waiting as f64);
    metrics.add_distributions(&families::BATCH_SIZE, [([], writer.batch_sizes)]);
}

/// Metrics are read also while the store does not answer.
async fn add_trips(metrics: &mut Exposition, app: &App) {
    match app.store.unfinished_trips().await {
        Ok(trips) => {
            let trips = [("open", trips.open), ("failed", trips.failed)];
            let trips = trips.map(|(status, count)| ([status.to_owned()], count as f64));
            metrics.add(&families::UNFINISHED_TRIPS, trips);
        }
        Err(error) => tracing::warn!(%error, "the metrics leave out the unfinished trips"),
    }
}

fn add_plugins(metrics: &mut Exposition, plugins: &PluginSet) {
    let digest = |slot: Slot| plugins.identity(slot).digest.clone();
    let info = Slot::ALL.map(|slot| {
        let plugin = plugins.identity(slot);
        let generation = plugin.generation.to_string();
        let (name, version) = (plugin.name.clone(), plugin.version.clone());
        ([slot.to_string(), digest(slot), name, version, generation], 1.0)
    });
    metrics.add(&families::PLUGIN_INFO, info);
    let degraded = |slot: Slot| ([slot.to_string()], f64::from(u8::from(plugins.is_degraded(slot))));
    metrics.add(&families::PLUGIN_DEGRADED, Slot::ALL.map(degraded));
    let calls = Slot::ALL.map(|slot| (slot, plugins.call_counts(slot)));
    let counts =
        calls.iter().map(|(slot, calls)| ([slot.to_string(), digest(*slot)], calls.durations.count as f64));
    metrics.add(&families::PLUGIN_CALLS, counts);
    let failures = calls.iter().flat_map(|(slot, calls)| {
        calls
            .failures
            .map(|(kind, count)| ([slot.to_string(), digest(*slot), kind.code().to_owned()], count as f64))
    });
    metrics.add(&families::PLUGIN_FAILURES, failures);
    let durations =
        calls.iter().map(|(slot, calls)| ([slot.to_string(), digest(*slot)], calls.durations.clone()));
    metrics.add_distributions(&families::PLUGIN_DURATION, durations);
}

fn add_weather(metrics: &mut Exposition, weather: &Weather) {
    metrics.add_one(&families::WEATHER_PAUSE, weather.pause_left().as_secs_f64());
    metrics.add_one(&families::WEATHER_CACHE, weather.remembered_hours() as f64);
}
