//! Who may upload, read and administer.

use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq;

use crate::config::{HttpConfig, Secret};

/// The tokens that open doors. A door without a token is open, but for the
/// administrator's, which is then shut.
pub struct Tokens {
    torque: Option<Secret>,
    admin: Option<Secret>,
}

impl Tokens {
    /// The tokens that are set.
    pub fn new(config: &HttpConfig) -> Self {
        Self { torque: config.torque_api_token.clone(), admin: config.admin_token.clone() }
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
        self.admit_upload(None, headers) || self.admit_admin(headers)
    }

    /// Whether an admin request with this header may enter.
    pub fn admit_admin(&self, headers: &HeaderMap) -> bool {
        self.admin
            .as_ref()
            .is_some_and(|secret| bearer(headers).is_some_and(|given| same(given, secret.expose())))
    }

    /// Whether there are administrators at all.
    pub fn has_admin(&self) -> bool {
        self.admin.is_some()
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
