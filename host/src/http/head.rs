//! What the head of a request says of its sender: for its event, and for what no
//! text of it may repeat.

use axum::extract::Request;
use axum::http::Method;
use axum::http::header::{self, HeaderName};

use super::tokens::bearer;
use crate::torque::Known;

/// What an event tells of who sent a request.
pub(super) struct Head {
    /// One that HTTP has, or `_OTHER`, as OpenTelemetry says it: any word is one
    /// that a client may make up.
    pub(super) method: &'static str,
    pub(super) user_agent: Option<String>,
    pub(super) client_request_id: Option<String>,
    pub(super) has_token: bool,
}

impl Head {
    /// Of this request, with the token of its path. What it says of who it is, is
    /// added to `known`.
    pub(super) fn of(request: &Request, token: Option<&str>, known: &mut Known) -> Self {
        let headers = request.headers();
        let text = |name: HeaderName| {
            headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let bearer = bearer(headers);
        [token, bearer].into_iter().flatten().for_each(|token| known.add_token(token));
        text(HeaderName::from_static("x-device-id")).iter().for_each(|device| known.add_identity(device));
        known.add_form(request.uri().query().unwrap_or_default().as_bytes());
        Self {
            method: told(request.method()),
            user_agent: text(header::USER_AGENT),
            client_request_id: text(HeaderName::from_static("x-request-id")),
            has_token: token.is_some() || bearer.is_some(),
        }
    }
}

fn told(method: &Method) -> &'static str {
    const METHODS: [&str; 10] =
        ["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "QUERY"];
    METHODS.into_iter().find(|known| method == known).unwrap_or("_OTHER")
}
