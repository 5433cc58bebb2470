//! What could not be stored otherwise: each request once, however often it
//! comes.

use sha2::{Digest, Sha256};
use sqlx::{Any, Transaction};

use super::StoreError;
use super::record::QuarantinedRequest;
use crate::identity::hex;

/// Keeps requests, in the order of their ids, so that two hosts do not wait for
/// each other.
pub(super) async fn quarantine_all(
    transaction: &mut Transaction<'static, Any>,
    requests: impl Iterator<Item = &QuarantinedRequest>,
) -> Result<(), StoreError> {
    let mut requests: Vec<_> = requests.map(|request| (id(request), request)).collect();
    requests.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (id, request) in requests {
        sqlx::query(
            "INSERT INTO quarantine (quarantine_id, received_ms, code, reason, phone_id, session_id, request)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(request.received_ms)
        .bind(request.code)
        .bind(request.reason.clone())
        .bind(request.phone.as_ref().map(|phone| phone.as_str().to_owned()))
        .bind(request.session.map(|session| session.to_string()))
        .bind(request.request.clone())
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// The same for the same text and code: a phone may send it again for ever.
fn id(request: &QuarantinedRequest) -> String {
    let digest = Sha256::new_with_prefix(request.code).chain_update(&request.request).finalize();
    hex(&digest[..16])
}
