//! Events as they come.

use anyhow::Context as _;
use e2e::{Server, Settings};
use serde_json::Value;

use super::PATIENCE;
use crate::volt::{Phone, now_ms};

/// A reader of `/api/events/tail`.
pub(super) struct Follower {
    response: reqwest::Response,
    text: String,
}

impl Follower {
    pub(super) async fn new(server: &Server, filter: &str) -> anyhow::Result<Self> {
        let request = e2e::http_client()?.get(address(server, filter)?);
        let response = request.send().await?.error_for_status()?;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Ok(Self { response, text: String::new() })
    }

    /// The next event.
    pub(super) async fn hears(&mut self) -> anyhow::Result<Value> {
        let listening = async {
            loop {
                while let Some((told, rest)) = self.text.split_once("\n\n") {
                    let data = told.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
                    self.text = rest.to_owned();
                    if let Some(data) = data {
                        return Ok(serde_json::from_str(&data)?);
                    }
                }
                let chunk = self.response.chunk().await?.context("the stream ended")?;
                self.text.push_str(std::str::from_utf8(&chunk)?);
            }
        };
        tokio::time::timeout(PATIENCE, listening).await.context("nothing is heard")?
    }
}

/// Where events are followed that such a filter wants.
fn address(server: &Server, filter: &str) -> anyhow::Result<reqwest::Url> {
    let url = format!("http://{}/api/events/tail", server.address());
    let filter = (!filter.is_empty()).then_some(("filter", filter));
    Ok(reqwest::Url::parse_with_params(&url, filter)?)
}

#[tokio::test]
async fn a_follower_hears_of_what_it_asked_for_and_a_stop_ends_its_stream() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let mut follower = Follower::new(&server, r#"{"success": false}"#).await?;
    let start_ms = now_ms();
    assert!(server.upload(&Phone::new(1, start_ms).reading(start_ms, "kc=900")).await?.is_ok());
    assert!(server.upload("v=9&time=1").await?.is_ok());
    let told = server.wait_for_operation("telemetry_upload", 2).await?;
    let failed = told.iter().find(|event| event["success"] == false).context("a failure")?;
    assert_eq!(&follower.hears().await?, failed, "and not of the upload that succeeded");
    let stopped = server.terminate().await?;
    assert!(stopped.status.success());
    while follower.response.chunk().await?.is_some() {}
    Ok(())
}

#[tokio::test]
async fn a_filter_that_cannot_be_followed_is_refused_and_followers_have_a_bounded_number()
-> anyhow::Result<()> {
    let mut server = Server::start(Settings::default()).await?;
    let client = e2e::http_client()?;
    for (filter, at) in [("{\"success\": 1}", "filter.success"), ("{", "filter")] {
        let refused: Value = client.get(address(&server, filter)?).send().await?.json().await?;
        assert_eq!((&refused["code"], &refused["at"]), (&"E003".into(), &at.into()));
    }
    let mut followers = Vec::new();
    for _ in 0..8 {
        followers.push(Follower::new(&server, "").await?);
    }
    assert_eq!(client.get(address(&server, "")?).send().await?.status(), 503);
    drop(followers);
    server.stop().await?;
    Ok(())
}
