//! A full load while a collector hangs, refuses and is unwell, each for a
//! while: what uploads feel of it, and where each event went.

use std::time::Duration;

use anyhow::Context as _;
use e2e::collector::{Closed, Reply};
use e2e::{Load, Sent, Server, Settings, percentile};
use serde_json::Value;
use tokio::time::Instant;

use super::{account, wait_for_sink};
use crate::volt::{Phone, now_ms};

const CONNECTIONS: u32 = 64;
/// Before anything is measured.
const WARM_UP: Duration = Duration::from_secs(5);

/// What the collector does, as long as the phase lasts.
struct Phase {
    name: &'static str,
    began: Instant,
    ended: Instant,
    /// Events that the sink lost in it.
    lost: u64,
}

impl Phase {
    async fn watch(server: &Server, name: &'static str, length: Duration) -> anyhow::Result<Self> {
        let (before, began) = (lost(server).await?, Instant::now());
        // The length of the trouble is the test's choice; nothing is waited for.
        tokio::time::sleep(length).await;
        Ok(Self { name, began, ended: Instant::now(), lost: lost(server).await? - before })
    }

    fn p99(&self, sent: &[Sent]) -> Duration {
        let during = |sent: &&Sent| (self.began..self.ended).contains(&sent.at);
        let during: Vec<_> = sent.iter().filter(during).cloned().collect();
        let p99 = percentile(&during, 99);
        println!("{:9} {} uploads, p99 {p99:.1?}, {} events lost", self.name, during.len(), self.lost);
        p99
    }
}

async fn lost(server: &Server) -> anyhow::Result<u64> {
    let status: Value = server.api("/api/status").await?;
    status["sinks"]["otlp"]["lost"].as_u64().context("a count")
}

/// What the soak measures, on a machine that does nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes of full load: `just soak`"]
async fn soak_a_collector_in_trouble() -> anyhow::Result<()> {
    let length = match std::env::var("COLLECTOR_SECONDS") {
        Ok(text) => Duration::from_secs(text.parse().context("COLLECTOR_SECONDS takes a number")?),
        Err(_) => Duration::from_secs(20),
    };
    let collector = Closed::new()?.open_to_count()?;
    // As many events as in production; a buffer that a healthy collector leaves
    // room in, and that they fill in seconds otherwise.
    let settings = Settings::default()
        .set("ENVIRONMENT", "production")
        .set("SAMPLING_UNIT", "request")
        .set("EVENT_BUFFER_MB", "8");
    let mut server = Server::start(collector.sent_to_by(settings)).await?;
    let start_ms = now_ms();
    let query = move |connection: u32, number: u32| {
        Phone::new(connection, start_ms).reading(start_ms + i64::from(number) * 1000, "kc=900")
    };
    let load = Load::start(server.address(), CONNECTIONS, query);

    tokio::time::sleep(WARM_UP).await;
    let healthy = Phase::watch(&server, "healthy", length).await?;
    collector.reply(Reply::Silence);
    let hangs = Phase::watch(&server, "hangs", length).await?;
    let (closed, before) = collector.close().await?;
    let refuses = Phase::watch(&server, "refuses", length).await?;
    let collector = closed.open_to_count()?;
    collector.reply(Reply::Status(503, None));
    let unwell = Phase::watch(&server, "503", length).await?;
    let sent = load.stop().await;
    collector.reply(Reply::Take);
    wait_for_sink(&server, "otlp", |sink| sink["waiting"] == 0).await?;
    let (delivered, lost) = account(&server.stop().await?, "otlp");
    let taken = before + collector.count();
    println!("{delivered} events delivered before the stop's own, {lost} lost; the collector took {taken}");

    assert_eq!(taken, delivered + 1, "the stop counts itself out");
    let failed: Vec<_> = sent.iter().filter_map(|sent| sent.failure.as_ref()).take(5).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let normal = healthy.p99(&sent);
    for trouble in [hangs, refuses, unwell] {
        let p99 = trouble.p99(&sent);
        assert!(p99 <= normal * 2, "p99 {p99:?} while the collector {}, {normal:?} before", trouble.name);
        assert!(trouble.lost > 0, "the buffer did not fill while the collector {}", trouble.name);
    }
    Ok(())
}
