//! The bytes of the plugin library, in parts: how they come, are read, and go.
//! What serves a slot is in `plugins`.

use jiff::Timestamp;
use sqlx::{Any, Transaction};

use super::StoreError;
use super::open::Store;
use super::plugins::NewActivation;
use crate::plugin_host::Slot;

/// Bytes of one part: what an upload waits behind at most.
const PART: usize = 256 << 10;
/// Parts that one transaction removes: each costs about what writing it does.
const REMOVED_AT_ONCE: i64 = 8;
/// How long parts without a component wait for one: far longer than bringing
/// all of them takes.
const ORPHANED_MS: i64 = 3_600_000;
/// Components that each slot keeps: those it served last.
const KEPT_COMPONENTS: i64 = 20;

impl Store {
    /// A component of a slot, where it is kept.
    pub async fn plugin_component(&self, slot: Slot, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(size) = self.component_size(slot, digest).await? else { return Ok(None) };
        let mut bytes = Vec::with_capacity(size);
        let mut parts = 0i64..;
        while bytes.len() < size {
            let part: Option<Vec<u8>> = sqlx::query_scalar(
                "SELECT bytes FROM plugin_parts WHERE slot = $1 AND digest = $2 AND part = $3",
            )
            .bind(slot.as_str())
            .bind(digest)
            .bind(parts.next())
            .fetch_optional(&self.pool)
            .await?;
            let Some(part) = part.filter(|part| !part.is_empty()) else { break };
            bytes.extend_from_slice(&part);
        }
        if bytes.len() == size { Ok(Some(bytes)) } else { Err(incomplete(slot, digest)) }
    }

    async fn component_size(&self, slot: Slot, digest: &str) -> Result<Option<usize>, StoreError> {
        let size: Option<i64> =
            sqlx::query_scalar("SELECT size_bytes FROM plugin_components WHERE slot = $1 AND digest = $2")
                .bind(slot.as_str())
                .bind(digest)
                .fetch_optional(&self.pool)
                .await?;
        size.map(|size| usize::try_from(size).map_err(|_| incomplete(slot, digest))).transpose()
    }

    /// The digests of a slot's components that begin so, up to two.
    pub async fn plugin_digests(&self, slot: Slot, beginning: &str) -> Result<Vec<String>, StoreError> {
        // A digest has no characters above `g`.
        let digests = sqlx::query_scalar(
            "SELECT digest FROM plugin_components WHERE slot = $1 AND digest >= $2 AND digest < $3
             ORDER BY digest LIMIT 2",
        )
        .bind(slot.as_str())
        .bind(beginning)
        .bind(format!("{beginning}g"))
        .fetch_all(&self.pool)
        .await?;
        Ok(digests)
    }

    /// Brings the parts of a component, unless it is kept already. Other writes
    /// go on in between.
    pub(super) async fn write_parts(&self, plugin: &NewActivation<'_>) -> Result<(), StoreError> {
        if self.component_size(plugin.slot, plugin.digest).await?.is_some() {
            return Ok(());
        }
        // Of an attempt that ended half-way, perhaps with parts of another size.
        let mut transaction = self.writes.begin().await?;
        sqlx::query("DELETE FROM plugin_parts WHERE slot = $1 AND digest = $2 AND part >= $3")
            .bind(plugin.slot.as_str())
            .bind(plugin.digest)
            .bind(i64::try_from(plugin.bytes.len().div_ceil(PART)).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        for (number, bytes) in (0i64..).zip(plugin.bytes.chunks(PART)) {
            let mut transaction = self.writes.begin().await?;
            sqlx::query(
                "INSERT INTO plugin_parts (slot, digest, part, written_ms, bytes) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (slot, digest, part) DO UPDATE SET
                     written_ms = excluded.written_ms, bytes = excluded.bytes",
            )
            .bind(plugin.slot.as_str())
            .bind(plugin.digest)
            .bind(number)
            .bind(Timestamp::now().as_millisecond())
            .bind(bytes)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Removes the parts of components that are kept no more, or never were,
    /// a few at a time.
    pub async fn prune_plugin_parts(&self, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let mut transaction = self.begin_activation().await?;
            let removed = sqlx::query(
                "DELETE FROM plugin_parts WHERE (slot, digest, part) IN
                     (SELECT slot, digest, part FROM plugin_parts AS orphan
                      WHERE written_ms < $1 AND NOT EXISTS
                          (SELECT 1 FROM plugin_components AS kept
                           WHERE kept.slot = orphan.slot AND kept.digest = orphan.digest)
                      LIMIT $2)",
            )
            .bind(now.as_millisecond() - ORPHANED_MS)
            .bind(REMOVED_AT_ONCE)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            if removed.rows_affected() == 0 {
                return Ok(());
            }
        }
    }
}

/// Keeps a component whose parts are there.
pub(super) async fn keep(
    transaction: &mut Transaction<'static, Any>,
    plugin: &NewActivation<'_>,
) -> Result<(), StoreError> {
    let size = i64::try_from(plugin.bytes.len()).map_err(|_| incomplete(plugin.slot, plugin.digest))?;
    let kept = sqlx::query(
        "INSERT INTO plugin_components (slot, digest, size_bytes)
         SELECT $1, $2, $3 WHERE $4 =
             (SELECT CAST(COALESCE(SUM(LENGTH(bytes)), 0) AS BIGINT) FROM plugin_parts
              WHERE slot = $5 AND digest = $6)
         ON CONFLICT (slot, digest) DO UPDATE SET size_bytes = excluded.size_bytes",
    )
    .bind(plugin.slot.as_str())
    .bind(plugin.digest)
    .bind(size)
    .bind(size)
    .bind(plugin.slot.as_str())
    .bind(plugin.digest)
    .execute(&mut **transaction)
    .await?;
    // Another host may have pruned them just now.
    if kept.rows_affected() == 0 { Err(incomplete(plugin.slot, plugin.digest)) } else { Ok(()) }
}

/// Keeps the components that a slot served last.
pub(super) async fn prune(transaction: &mut Transaction<'static, Any>, slot: Slot) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM plugin_components WHERE slot = $1 AND digest NOT IN
             (SELECT digest FROM plugin_activations WHERE slot = $2
              GROUP BY digest ORDER BY MAX(generation) DESC LIMIT $3)",
    )
    .bind(slot.as_str())
    .bind(slot.as_str())
    .bind(KEPT_COMPONENTS)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn incomplete(slot: Slot, digest: &str) -> StoreError {
    StoreError::Unexpected(format!("the component {digest} of the slot {slot} is not whole"))
}
