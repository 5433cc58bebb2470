//! How the body of a request is read. How large it may be, and how long it may
//! take, is the business of who reads it.

use axum::body::Body;
use http_body_util::{BodyExt as _, Limited};

/// Copies a body as it arrives. Its frames must not be kept: each keeps the 8
/// KiB that it was read into, and a slow client may send a byte a frame.
pub(super) async fn gather(mut body: Limited<Body>) -> Result<Vec<u8>, axum::BoxError> {
    let mut gathered = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            gathered.extend_from_slice(&data);
        }
    }
    Ok(gathered)
}
