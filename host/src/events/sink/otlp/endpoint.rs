//! One request to the collector, and what its answer means. When to make
//! another one is decided elsewhere.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use percent_encoding::percent_decode_str;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode, Url};

use crate::config::OtlpConfig;
use crate::outbound::{self, causes, retry_after};

/// The largest answer that is read: bytes.
const LARGEST_ANSWER: usize = 64 << 10;
/// The most characters of a collector's reason that are told.
const SHOWN_REASON: usize = 200;
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// Where requests go.
pub(super) struct Endpoint {
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    timeout: Duration,
    shown: String,
}

/// What a request brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The events are there, but for so many.
    Taken { refused: usize, why: String },
    /// They will never be.
    Refused { why: String },
    /// They may be, another time.
    Unwell { why: String, retry_after: Option<Duration> },
}

impl Endpoint {
    pub(super) fn new(config: &OtlpConfig) -> anyhow::Result<Self> {
        let url = address(config)?;
        let http = outbound::client(url.scheme() == "https")
            .user_agent(concat!("volttracker/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("the client of the collector cannot be made")?;
        let mut headers = headers(config.headers()).context("OTEL_EXPORTER_OTLP_HEADERS")?;
        headers.insert(CONTENT_TYPE, PROTOBUF);
        let timeout = Duration::from_millis(config.otel_exporter_otlp_timeout);
        let shown = format!("{}{}", url.origin().ascii_serialization(), url.path());
        Ok(Self { http, url, headers, timeout, shown })
    }

    /// Its address without what may be a key.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) async fn send(&self, request: ExportLogsServiceRequest) -> Answer {
        let request = self.http.post(self.url.clone()).body(request.encode_to_vec());
        match request.headers(self.headers.clone()).timeout(self.timeout).send().await {
            Ok(response) => answer(response).await,
            Err(error) => Answer::Unwell { why: causes(error), retry_after: None },
        }
    }

    #[cfg(test)]
    pub(super) fn to(address: &str) -> Self {
        Self::new(&config(&[("--otel-exporter-otlp-logs-endpoint", address)])).expect("an endpoint")
    }
}

/// What an answer means, by OTLP's own rules.
async fn answer(response: Response) -> Answer {
    let (status, retry_after) = (response.status(), retry_after(response.headers()));
    if !status.is_success() {
        let why = format!("it answered {}", status.as_u16());
        return match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Answer::Unwell { why, retry_after },
            _ => Answer::Refused { why },
        };
    }
    // The status says that they are there, whatever becomes of the rest.
    let answer = ExportLogsServiceResponse::decode(body(response).await.as_slice()).unwrap_or_default();
    let partly = answer.partial_success.unwrap_or_default();
    let refused = usize::try_from(partly.rejected_log_records).unwrap_or_default();
    Answer::Taken { refused, why: partly.error_message.chars().take(SHOWN_REASON).collect() }
}

/// The body of an answer; nothing of one that breaks off or is too large.
async fn body(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Vec::new();
        }
        body.extend_from_slice(&chunk);
    }
    body
}

/// The address of logs.
fn address(config: &OtlpConfig) -> anyhow::Result<Url> {
    let (text, name) = match config.logs_endpoint() {
        Some(address) => (address.to_owned(), "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"),
        None => {
            let base = config.endpoint().unwrap_or("http://localhost:4318");
            (format!("{}/v1/logs", base.trim_end_matches('/')), "OTEL_EXPORTER_OTLP_ENDPOINT")
        }
    };
    let url = Url::parse(&text).ok();
    // The value is not told: it may hold a key.
    url.filter(|url| matches!(url.scheme(), "http" | "https"))
        .with_context(|| format!("{name} must be an address that begins with http:// or https://"))
}

/// `name=value`, separated by commas, values percent-encoded.
fn headers(text: &str) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            bail!("takes NAME=VALUE, separated by commas")
        };
        let name = HeaderName::from_bytes(name.trim().as_bytes());
        let value: Vec<u8> = percent_decode_str(value.trim()).collect();
        let value = HeaderValue::from_bytes(&value);
        // Neither is told: what is taken for a name may be a key.
        ensure!(name.is_ok() && value.is_ok(), "has a name or a value that no header can have");
        let mut value = value?;
        value.set_sensitive(true);
        headers.insert(name?, value);
    }
    Ok(headers)
}

#[cfg(test)]
fn config(flags: &[(&str, &str)]) -> OtlpConfig {
    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        config: OtlpConfig,
    }
    let flags = flags.iter().flat_map(|(flag, value)| [*flag, *value]);
    let cli: Cli = clap::Parser::try_parse_from(["volttracker"].into_iter().chain(flags)).expect("flags");
    cli.config
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "--otel-exporter-otlp-endpoint";
    const LOGS: &str = "--otel-exporter-otlp-logs-endpoint";

    #[test]
    fn logs_go_below_the_collector_or_where_they_are_said_to_go() {
        for (flags, url) in [
            (&[][..], "http://localhost:4318/v1/logs"),
            (&[(BASE, ""), (LOGS, "")], "http://localhost:4318/v1/logs"),
            (&[(BASE, "https://otel.example")], "https://otel.example/v1/logs"),
            (&[(BASE, "http://otel.example:4318/tenant/")], "http://otel.example:4318/tenant/v1/logs"),
            (&[(BASE, "http://no"), (LOGS, "http://otel.example/x?k=v")], "http://otel.example/x?k=v"),
        ] {
            assert_eq!(address(&config(flags)).expect("an address").as_str(), url);
        }
    }

    #[test]
    fn an_unfit_setting_is_refused_by_its_name_and_not_shown() {
        for (flag, value) in [
            (BASE, "hunter2"),
            (LOGS, "ftp://hunter2"),
            ("--otel-exporter-otlp-headers", "hunter2"),
            ("--otel-exporter-otlp-headers", "hun ter2=1"),
            ("--otel-exporter-otlp-headers", "key=hunter2%0A"),
        ] {
            let refusal = Endpoint::new(&config(&[(flag, value)])).err().map(|error| format!("{error:#}"));
            let refusal = refusal.expect("refused");
            let variable = flag[2..].to_uppercase().replace('-', "_");
            assert!(refusal.contains(&variable) && !refusal.contains("ter2"), "{refusal}");
        }
    }

    #[test]
    fn an_endpoint_is_shown_without_credentials() {
        let endpoint = Endpoint::to("https://user:hunter2@otel.example:8443/v1/logs?key=hunter2");
        assert_eq!(endpoint.shown(), "https://otel.example:8443/v1/logs");
    }

    #[test]
    fn headers_are_pairs_with_percent_encoded_values() {
        let headers = headers("api-key=a%20b%2Cc,, Authorization = Basic%20eA== ").expect("headers");
        let values: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(values, [("api-key", &b"a b,c"[..]), ("authorization", b"Basic eA==")]);
        assert!(!format!("{headers:?}").contains("eA"));
    }
}
