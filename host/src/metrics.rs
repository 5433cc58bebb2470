//! What the process counts, in the form that Prometheus reads: gathered where it
//! is counted when somebody asks, and kept nowhere else. Which metrics there
//! are is `families`; who may read them is the door's business.

mod exposition;
pub(crate) mod families;
mod gathering;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::Mutex;

use crate::app::App;

/// The form of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How long a text is given to everybody who asks: a crowd of readers, slow ones
/// too, holds a few texts and not one each.
const HOLDS: Duration = Duration::from_secs(1);

/// The metrics of this process.
pub struct Metrics {
    /// Epoch seconds.
    started_seconds: f64,
    last: Mutex<Option<(Instant, Bytes)>>,
}

impl Default for Metrics {
    /// Those of a process that starts now.
    fn default() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started_seconds: since_epoch.as_secs_f64(), last: Mutex::default() }
    }
}

impl Metrics {
    /// All metrics, now or within the last second.
    ///
    /// # Errors
    /// They cannot be written down.
    pub async fn text(&self, app: &App) -> Result<Bytes, prometheus::Error> {
        let mut last = self.last.lock().await;
        if let Some((at, text)) = &*last
            && at.elapsed() < HOLDS
        {
            return Ok(text.clone());
        }
        let text = Bytes::from(gathering::gather(app, self.started_seconds).await.into_text()?);
        *last = Some((Instant::now(), text.clone()));
        Ok(text)
    }
}
