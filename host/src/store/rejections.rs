//! What a slot tried and does not try again by itself. What serves a slot is in
//! `plugins`.

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::StoreError;
use super::open::Store;
use super::plugins::slot;
use crate::plugin_host::Slot;

/// Rejections that each slot remembers: the latest.
const KEPT_REJECTIONS: i64 = 200;
const REJECTION: &str = "slot, digest, settings_digest, verdict, code, reason, rejected_ms";

/// A component, with its settings, that a slot does not try again by itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Rejection {
    /// The slot.
    #[serde(skip)]
    pub slot: Slot,
    /// SHA-256 of the component, in hex.
    pub digest: String,
    /// SHA-256 of the settings, in hex.
    pub settings_digest: String,
    /// Why it is not tried again: `refused` or `rolled_back`.
    pub verdict: String,
    /// The error code.
    pub code: String,
    /// What was wrong.
    pub reason: String,
    /// When: epoch milliseconds.
    pub rejected_ms: i64,
}

impl Store {
    /// Remembers that a slot does not try this again by itself.
    pub async fn reject_plugin(&self, rejection: &Rejection) -> Result<(), StoreError> {
        let mut transaction = self.writes.begin().await?;
        write_rejection(&mut transaction, rejection).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Why a slot does not try this again, if so.
    pub async fn plugin_rejection(
        &self,
        slot: Slot,
        digest: &str,
        settings_digest: &str,
    ) -> Result<Option<Rejection>, StoreError> {
        let text = format!(
            "SELECT {REJECTION} FROM plugin_rejections
             WHERE slot = $1 AND digest = $2 AND settings_digest = $3"
        );
        let query = sqlx::query(AssertSqlSafe(text)).bind(slot.as_str()).bind(digest).bind(settings_digest);
        query.fetch_optional(&self.pool).await?.as_ref().map(rejection).transpose()
    }

    /// What a slot does not try again, the latest first.
    pub async fn plugin_rejections(&self, slot: Slot, limit: i64) -> Result<Vec<Rejection>, StoreError> {
        let text = format!(
            "SELECT {REJECTION} FROM plugin_rejections WHERE slot = $1
             ORDER BY rejected_ms DESC, digest LIMIT $2"
        );
        let query = sqlx::query(AssertSqlSafe(text)).bind(slot.as_str()).bind(limit);
        query.fetch_all(&self.pool).await?.iter().map(rejection).collect()
    }
}

/// What is activated because somebody asked for it is rejected no longer.
pub(super) async fn forgive(
    transaction: &mut Transaction<'static, Any>,
    slot: Slot,
    digest: &str,
    settings_digest: &str,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM plugin_rejections WHERE slot = $1 AND digest = $2 AND settings_digest = $3")
        .bind(slot.as_str())
        .bind(digest)
        .bind(settings_digest)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

pub(super) async fn write_rejection(
    transaction: &mut Transaction<'static, Any>,
    rejection: &Rejection,
) -> Result<(), StoreError> {
    let text = format!(
        "INSERT INTO plugin_rejections ({REJECTION}) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (slot, digest, settings_digest) DO UPDATE SET
             verdict = excluded.verdict, code = excluded.code, reason = excluded.reason,
             rejected_ms = excluded.rejected_ms"
    );
    let slot = rejection.slot.as_str();
    sqlx::query(AssertSqlSafe(text))
        .bind(slot)
        .bind(&rejection.digest)
        .bind(&rejection.settings_digest)
        .bind(&rejection.verdict)
        .bind(&rejection.code)
        .bind(rejection.reason.replace('\0', " "))
        .bind(rejection.rejected_ms)
        .execute(&mut **transaction)
        .await?;
    sqlx::query(
        "DELETE FROM plugin_rejections WHERE slot = $1 AND rejected_ms <
             (SELECT MIN(rejected_ms) FROM
                 (SELECT rejected_ms FROM plugin_rejections WHERE slot = $2
                  ORDER BY rejected_ms DESC LIMIT $3) AS latest)",
    )
    .bind(slot)
    .bind(slot)
    .bind(KEPT_REJECTIONS)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn rejection(row: &AnyRow) -> Result<Rejection, StoreError> {
    Ok(Rejection {
        slot: slot(row)?,
        digest: row.try_get("digest")?,
        settings_digest: row.try_get("settings_digest")?,
        verdict: row.try_get("verdict")?,
        code: row.try_get("code")?,
        reason: row.try_get("reason")?,
        rejected_ms: row.try_get("rejected_ms")?,
    })
}
