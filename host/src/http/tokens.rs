//! Who may upload and read.

use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq;

use crate::config::{HttpConfig, Secret};

/// The tokens that open doors; a door without a token is open.
pub struct Tokens {
    torque: Option<Secret>,
}

impl Tokens {
    /// The tokens that are set.
    pub fn new(config: &HttpConfig) -> Self {
        Self { torque: config.torque_api_token.clone() }
    }

    /// Whether an upload with this token in its path, or this header, may
    /// enter.
    pub fn admit_upload(&self, path: Option<&str>, headers: &HeaderMap) -> bool {
        self.torque.as_ref().is_none_or(|secret| {
            [path, bearer(headers)].into_iter().flatten().any(|given| same(given, secret.expose()))
        })
    }

    /// Whether a read with this header may enter.
    pub fn admit_read(&self, headers: &HeaderMap) -> bool {
        self.admit_upload(None, headers)
    }
}

/// The token of an `Authorization: Bearer …` header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Takes the same time however much of the token is right.
fn same(given: &str, secret: &str) -> bool {
    given.as_bytes().ct_eq(secret.as_bytes()).into()
}
