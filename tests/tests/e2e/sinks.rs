//! Every kept event reaches every sink, or is counted as lost by it; and no
//! upload waits for one.

mod files;
mod otlp;
mod soak;

use e2e::{Server, upload_all};
use serde_json::Value;

use crate::volt::{Phone, now_ms};

/// The most events that fit in the smallest buffer, a megabyte: none takes less
/// memory than 4 KB.
const MOST_WAITING: u64 = 256;

/// Uploads that many readings of a phone, all of which are acknowledged.
async fn upload(server: &Server, phone: u32, count: usize) -> anyhow::Result<()> {
    let start_ms = now_ms();
    let phone = Phone::new(phone, start_ms);
    let queries = (0..count).map(|n| phone.reading(start_ms + 1 + n as i64, "kc=900")).collect();
    let answers = upload_all(server.address(), queries, 4).await?;
    assert!(answers.iter().all(e2e::Answer::is_ok), "{answers:?}");
    Ok(())
}

/// Holds the counts of a stop to each other: those of one sink, beside standard
/// output, which loses nothing. Returns how many it delivered, and lost.
fn account(events: &[Value], sink: &str) -> (usize, usize) {
    let (stop, before) = events.split_last().expect("a stop has its event");
    assert_eq!(stop["operation"], "service_stop");
    let count = |value: &Value| usize::try_from(value.as_u64().expect("a count")).expect("a small one");
    let total = |name: &str| count(&stop[name]);
    let of = |sink: &str, what: &str| count(&stop["sinks"][sink][what]);
    assert_eq!(
        total("events_received"),
        total("events_kept") + total("events_sampled_out") + total("events_lost_by_sink"),
        "{stop}"
    );
    assert_eq!(of("stdout", "delivered"), before.len());
    assert_eq!((of("stdout", "lost"), of(sink, "waiting")), (0, 0), "{stop}");
    let (delivered, lost) = (of(sink, "delivered"), of(sink, "lost"));
    assert_eq!(lost, total("events_lost_by_sink"), "{stop}");
    assert_eq!(delivered, total("events_kept"), "{stop}");
    (delivered, lost)
}

/// Waits until a sink's counts are like this.
async fn wait_for_sink(server: &Server, sink: &str, is_it: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let by = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let status = server.api("/api/status").await?;
        if is_it(&status["sinks"][sink]) {
            return Ok(status["sinks"][sink].clone());
        }
        anyhow::ensure!(std::time::Instant::now() < by, "waited in vain: {}", status["sinks"]);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
