//! Why a request to Open-Meteo brought nothing: its code, whether to try again,
//! and what it says of the service.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::answer::Unfit;
use crate::events::{Code, Failure};
use crate::outbound::{causes, retry_after};

/// The most characters of a refusal that are told.
const SHOWN_REASON: usize = 200;

/// Why a request brought nothing.
pub(super) struct Trouble {
    pub(super) failure: Failure,
    /// Whether the service itself is unwell, whatever it is asked for.
    pub(super) is_unwell: bool,
    /// When it wants to be asked again.
    pub(super) retry_after: Option<Duration>,
    /// Whether another try may bring something.
    pub(super) is_worth_another_try: bool,
}

impl Trouble {
    /// One that another try does not help, and that says nothing of others.
    pub(super) fn ours(code: Code, message: &'static str) -> Self {
        let failure = Failure::new(code, message);
        Self { failure, is_unwell: false, retry_after: None, is_worth_another_try: false }
    }

    pub(super) fn no_answer(error: reqwest::Error) -> Self {
        let failure = if error.is_timeout() {
            Failure::new(Code::E100, "the weather service did not answer in time")
        } else {
            Failure::new(Code::E101, "the weather service cannot be reached")
        };
        let failure = failure.caused_by("reqwest::Error", causes(error));
        Self { failure, is_unwell: true, retry_after: None, is_worth_another_try: true }
    }

    pub(super) fn broken_off(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::no_answer(error);
        }
        let failure = Failure::new(Code::E102, "the weather service's answer broke off")
            .caused_by("reqwest::Error", causes(error));
        Self { failure, is_unwell: false, retry_after: None, is_worth_another_try: true }
    }

    pub(super) fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let is_throttled = status == StatusCode::TOO_MANY_REQUESTS;
        let code = if is_throttled { Code::E103 } else { Code::E102 };
        let mut failure = Failure::new(code, format!("the weather service answered {}", status.as_u16()));
        if let Some(reason) = reason(body) {
            failure = failure.caused_by("open_meteo", reason);
        }
        let is_unwell = is_throttled || status.is_server_error();
        Self { failure, is_unwell, retry_after: retry_after(headers), is_worth_another_try: is_unwell }
    }
}

impl From<Unfit> for Trouble {
    fn from(unfit: Unfit) -> Self {
        let is_worth_another_try = matches!(unfit, Unfit::BrokenOff(_));
        let failure = Failure::new(Code::E102, "the weather service's answer cannot be used")
            .caused_by("Unfit", unfit.to_string());
        Self { failure, is_unwell: false, retry_after: None, is_worth_another_try }
    }
}

/// The reason that the service gives with a refusal.
fn reason(body: &[u8]) -> Option<String> {
    let refusal: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(refusal.get("reason")?.as_str()?.chars().take(SHOWN_REASON).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_gives_its_reason_shortly() {
        let long = format!(r#"{{"error":true,"reason":"{}"}}"#, "x".repeat(5000));
        assert_eq!(reason(long.as_bytes()).map(|reason| reason.len()), Some(SHOWN_REASON));
        assert_eq!(reason(b"<html>"), None);
    }
}
