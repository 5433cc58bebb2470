//! How a failure answers a reader: RFC 9457 problem details with the code.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::events::{Code, Failure};

/// Seconds after which a refused client may come back.
pub const RETRY_AFTER: &str = "5";

/// A failure on its way to a reader.
pub struct Problem(pub Failure);

/// The status of a failure.
pub fn status_of(code: Code) -> StatusCode {
    match code {
        Code::E001 => StatusCode::UNAUTHORIZED,
        Code::E006 => StatusCode::PAYLOAD_TOO_LARGE,
        Code::E007 => StatusCode::TOO_MANY_REQUESTS,
        Code::E400 => StatusCode::NOT_FOUND,
        Code::E412 => StatusCode::UNPROCESSABLE_ENTITY,
        Code::E502 => StatusCode::REQUEST_TIMEOUT,
        Code::E200 | Code::E201 | Code::E501 | Code::E503 => StatusCode::SERVICE_UNAVAILABLE,
        code if code.category() == crate::events::Category::Validation => StatusCode::BAD_REQUEST,
        code if code.category() == crate::events::Category::Parsing => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Problem {
    /// The answer, with further members.
    pub fn with(self, members: Map<String, Value>) -> Response {
        let status = status_of(self.0.code);
        let mut body = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.0.message,
            "code": self.0.code,
        });
        if let Some(body) = body.as_object_mut() {
            body.extend(members);
        }
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.with(Map::new())
    }
}
