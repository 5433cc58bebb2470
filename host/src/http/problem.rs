//! How a failure answers a reader: RFC 9457 problem details with the code.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::events::{Code, Failure};

/// Seconds after which a refused client may come back.
pub const RETRY_AFTER: &str = "5";

/// A failure on its way to a reader.
pub struct Problem(pub Failure);

/// What a problem looks like: RFC 9457 problem details, with the code of the
/// wide event.
#[derive(ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "about:blank", "title": "Not Found", "status": 404,
    "detail": "there is no such trip", "code": "E400"
}))]
#[expect(dead_code, reason = "the answer's form, for the API's document")]
pub struct ProblemDetails {
    /// Always `about:blank`: the code says what kind of problem it is.
    r#type: String,
    /// The meaning of the status.
    title: String,
    /// Status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What went wrong, in one sentence.
    detail: String,
    /// The error code, such as `E400`.
    #[schema(pattern = "^E[0-9]{3}$")]
    code: String,
}

/// The answers that any request of the API may get, beside its own.
#[derive(utoipa::IntoResponses)]
#[expect(dead_code, reason = "for the API's document")]
pub enum Problems {
    /// A parameter is missing, unknown, of the wrong type or out of range (E002, E003, E004).
    #[response(status = 400, content_type = "application/problem+json")]
    Unfit(ProblemDetails),
    /// The token is missing or wrong (E001).
    #[response(status = 401, content_type = "application/problem+json")]
    Unknown(ProblemDetails),
    /// Too many requests (E007).
    #[response(status = 429, content_type = "application/problem+json")]
    TooOften(ProblemDetails),
    /// The head of the request is too large (E006); the answer has no body.
    #[response(status = 431)]
    TooLong,
    /// The operation failed.
    #[response(status = 500, content_type = "application/problem+json")]
    Failed(ProblemDetails),
    /// The store does not answer, or too much is under way: come back later (E200, E501, E503).
    #[response(status = 503, content_type = "application/problem+json")]
    NotNow(ProblemDetails),
}

/// The status of a failure.
pub fn status_of(code: Code) -> StatusCode {
    match code {
        Code::E001 => StatusCode::UNAUTHORIZED,
        Code::E006 => StatusCode::PAYLOAD_TOO_LARGE,
        Code::E007 => StatusCode::TOO_MANY_REQUESTS,
        Code::E400 => StatusCode::NOT_FOUND,
        Code::E402 | Code::E403 => StatusCode::CONFLICT,
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
        self.with_status(status, members)
    }

    /// The same with another status than the code has elsewhere.
    pub fn with_status(self, status: StatusCode, members: Map<String, Value>) -> Response {
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
        response.extensions_mut().insert(self.0);
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.with(Map::new())
    }
}
