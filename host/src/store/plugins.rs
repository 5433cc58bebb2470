//! The plugin library in the store: what serves each slot, and what did. Where
//! components rest is in `components`; whether one is fit is not known here.

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::open::{Engine, Store};
use super::rejections::{Rejection, forgive, write_rejection};
use super::{StoreError, components};
use crate::plugin_host::{PluginIdentity, Slot};

/// Activations that each slot remembers: some hundred bytes each, and more than
/// it sees in years. A host that comes back with an image older than that takes
/// its files for new.
const KEPT_ACTIVATIONS: i64 = 1000;

/// A plugin that served, or serves, a slot.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Activation {
    /// The slot.
    #[serde(skip)]
    pub slot: Slot,
    /// The number of this activation of the slot, from 1 on.
    pub generation: u64,
    /// SHA-256 of the component, in hex.
    pub digest: String,
    /// SHA-256 of the settings, in hex.
    pub settings_digest: String,
    /// The settings: JSON object.
    #[serde(skip)]
    pub settings: String,
    /// What the plugin calls itself.
    pub name: String,
    /// What the plugin calls its version.
    pub version: String,
    /// Which way it came.
    pub way: String,
    /// When: epoch milliseconds.
    pub activated_ms: i64,
}

impl Activation {
    fn is(&self, digest: &str, settings_digest: &str) -> bool {
        self.digest == digest && self.settings_digest == settings_digest
    }

    /// The plugin, as events name it.
    pub fn identity(&self) -> PluginIdentity {
        PluginIdentity {
            name: self.name.clone(),
            version: self.version.clone(),
            digest: self.digest.clone(),
            generation: self.generation,
            settings_digest: self.settings_digest.clone(),
        }
    }
}

/// A plugin that passed every check, to be activated.
#[derive(Debug, Clone, Copy)]
pub struct NewActivation<'a> {
    /// The slot.
    pub slot: Slot,
    /// The component.
    pub bytes: &'a [u8],
    /// Its SHA-256, in hex.
    pub digest: &'a str,
    /// SHA-256 of the settings, in hex.
    pub settings_digest: &'a str,
    /// The settings: JSON object.
    pub settings: &'a str,
    /// What the plugin calls itself.
    pub name: &'a str,
    /// What the plugin calls its version.
    pub version: &'a str,
    /// Which way it came.
    pub way: &'a str,
    /// When: epoch milliseconds.
    pub activated_ms: i64,
    /// The activation that it is meant to follow; nothing: whichever there is.
    pub follows: Option<u64>,
}

/// What became of plugins that were to be activated.
#[derive(Debug, Clone)]
pub enum Activated {
    /// Their activations, in the same order.
    All(Vec<Activation>),
    /// Nothing was activated: another plugin came into this slot before.
    Overtaken(Slot),
    /// The database has all or none of it, and did not say which.
    Unconfirmed(StoreError),
}

const ACTIVATION: &str =
    "slot, generation, digest, settings_digest, settings, name, version, way, activated_ms";

impl Store {
    /// What serves a slot, and what served it before: newest first.
    pub async fn activations(&self, slot: Slot, limit: i64) -> Result<Vec<Activation>, StoreError> {
        let text = format!(
            "SELECT {ACTIVATION} FROM plugin_activations WHERE slot = $1 ORDER BY generation DESC LIMIT $2"
        );
        let query = sqlx::query(AssertSqlSafe(text)).bind(slot.as_str()).bind(limit);
        query.fetch_all(&self.pool).await?.iter().map(activation).collect()
    }

    /// What a slot can go back to from this plugin: what served it before, was
    /// another plugin or had other settings, was not rejected, and still has
    /// its component. Newest first; several activations of one plugin are one
    /// predecessor.
    pub async fn predecessors(
        &self,
        slot: Slot,
        of: &PluginIdentity,
        limit: i64,
    ) -> Result<Vec<Activation>, StoreError> {
        let text = format!(
            "SELECT {ACTIVATION} FROM plugin_activations AS one
             WHERE slot = $1 AND generation < $2 AND (digest <> $3 OR settings_digest <> $4)
               AND NOT EXISTS (SELECT 1 FROM plugin_activations AS later
                               WHERE later.slot = one.slot AND later.digest = one.digest
                                 AND later.settings_digest = one.settings_digest
                                 AND later.generation > one.generation AND later.generation < $5)
               AND NOT EXISTS (SELECT 1 FROM plugin_rejections AS bad
                               WHERE bad.slot = one.slot AND bad.digest = one.digest
                                 AND bad.settings_digest = one.settings_digest)
               AND EXISTS (SELECT 1 FROM plugin_components AS kept
                           WHERE kept.slot = one.slot AND kept.digest = one.digest)
             ORDER BY generation DESC LIMIT $6"
        );
        let generation = to_i64(of.generation)?;
        let query = sqlx::query(AssertSqlSafe(text))
            .bind(slot.as_str())
            .bind(generation)
            .bind(&of.digest)
            .bind(&of.settings_digest)
            .bind(generation)
            .bind(limit);
        query.fetch_all(&self.pool).await?.iter().map(activation).collect()
    }

    /// Whether a slot was ever served by this component with these settings.
    pub async fn was_active(
        &self,
        slot: Slot,
        digest: &str,
        settings_digest: &str,
    ) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT 1 FROM plugin_activations WHERE slot = $1 AND digest = $2 AND settings_digest = $3 LIMIT 1",
        )
        .bind(slot.as_str())
        .bind(digest)
        .bind(settings_digest)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.is_some())
    }

    /// Activates plugins, all or none. One that serves its slot already, here or
    /// on another host, keeps its activation. What is activated is no longer
    /// rejected.
    pub async fn activate_plugins(&self, plugins: &[NewActivation<'_>]) -> Result<Activated, StoreError> {
        for plugin in plugins {
            self.write_parts(plugin).await?;
        }
        let mut transaction = self.begin_activation().await?;
        let mut activations = Vec::with_capacity(plugins.len());
        for plugin in plugins {
            if let Some(follows) = plugin.follows {
                let newest = newest(&mut transaction, plugin.slot).await?;
                if newest.is_none_or(|newest| newest.generation != follows) {
                    return Ok(Activated::Overtaken(plugin.slot));
                }
            }
            activations.push(activate(&mut transaction, plugin).await?);
        }
        Ok(committed(transaction, activations).await)
    }

    /// Activates a plugin instead of one that is rejected from now on. Nothing
    /// happens where neither of them serves the slot by now: what another host
    /// has put there is not undone.
    pub async fn activate_instead(
        &self,
        plugin: &NewActivation<'_>,
        of: &Rejection,
    ) -> Result<Activated, StoreError> {
        self.write_parts(plugin).await?;
        let mut transaction = self.begin_activation().await?;
        let newest = newest(&mut transaction, plugin.slot).await?;
        let serves = |digest: &str, settings_digest: &str| {
            newest.as_ref().is_some_and(|newest| newest.is(digest, settings_digest))
        };
        if !serves(&of.digest, &of.settings_digest) && !serves(plugin.digest, plugin.settings_digest) {
            return Ok(Activated::Overtaken(plugin.slot));
        }
        write_rejection(&mut transaction, of).await?;
        let activation = activate(&mut transaction, plugin).await?;
        Ok(committed(transaction, vec![activation]).await)
    }

    /// Hosts take turns, each after what the one before it wrote. SQLite has one
    /// writer anyway.
    pub(super) async fn begin_activation(&self) -> Result<Transaction<'static, Any>, StoreError> {
        let mut transaction = self.writes.begin().await?;
        if self.engine() == Engine::Postgres {
            sqlx::query("LOCK TABLE plugin_activations IN SHARE ROW EXCLUSIVE MODE")
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction)
    }
}

async fn committed(transaction: Transaction<'static, Any>, activations: Vec<Activation>) -> Activated {
    match transaction.commit().await {
        Ok(()) => Activated::All(activations),
        Err(error) => Activated::Unconfirmed(error.into()),
    }
}

async fn newest(
    transaction: &mut Transaction<'static, Any>,
    slot: Slot,
) -> Result<Option<Activation>, StoreError> {
    let text = format!(
        "SELECT {ACTIVATION} FROM plugin_activations WHERE slot = $1 ORDER BY generation DESC LIMIT 1"
    );
    let query = sqlx::query(AssertSqlSafe(text)).bind(slot.as_str());
    query.fetch_optional(&mut **transaction).await?.as_ref().map(activation).transpose()
}

async fn activate(
    transaction: &mut Transaction<'static, Any>,
    plugin: &NewActivation<'_>,
) -> Result<Activation, StoreError> {
    components::keep(transaction, plugin).await?;
    forgive(transaction, plugin.slot, plugin.digest, plugin.settings_digest).await?;
    let generation = match newest(transaction, plugin.slot).await? {
        Some(newest) if newest.is(plugin.digest, plugin.settings_digest) => return Ok(newest),
        Some(newest) => newest.generation + 1,
        None => 1,
    };
    let text = format!(
        "INSERT INTO plugin_activations ({ACTIVATION}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         RETURNING {ACTIVATION}"
    );
    let row = sqlx::query(AssertSqlSafe(text))
        .bind(plugin.slot.as_str())
        .bind(to_i64(generation)?)
        .bind(plugin.digest)
        .bind(plugin.settings_digest)
        .bind(plugin.settings)
        .bind(plugin.name)
        .bind(plugin.version)
        .bind(plugin.way)
        .bind(plugin.activated_ms)
        .fetch_one(&mut **transaction)
        .await?;
    components::prune(transaction, plugin.slot).await?;
    prune(transaction, plugin.slot, generation).await?;
    activation(&row)
}

/// Keeps the latest activations of a slot, and of each component that is kept
/// the last one that can serve again.
async fn prune(
    transaction: &mut Transaction<'static, Any>,
    slot: Slot,
    newest: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM plugin_activations WHERE slot = $1 AND generation <= $2 AND generation NOT IN
             (SELECT MAX(good.generation) FROM plugin_activations AS good
              JOIN plugin_components AS kept ON kept.slot = good.slot AND kept.digest = good.digest
              WHERE good.slot = $3 AND NOT EXISTS
                  (SELECT 1 FROM plugin_rejections AS bad
                   WHERE bad.slot = good.slot AND bad.digest = good.digest
                     AND bad.settings_digest = good.settings_digest)
              GROUP BY good.digest)",
    )
    .bind(slot.as_str())
    .bind(to_i64(newest)? - KEPT_ACTIVATIONS)
    .bind(slot.as_str())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn activation(row: &AnyRow) -> Result<Activation, StoreError> {
    let generation: i64 = row.try_get("generation")?;
    Ok(Activation {
        slot: slot(row)?,
        generation: u64::try_from(generation)
            .map_err(|_| StoreError::Unexpected(format!("an activation has the number {generation}")))?,
        digest: row.try_get("digest")?,
        settings_digest: row.try_get("settings_digest")?,
        settings: row.try_get("settings")?,
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        way: row.try_get("way")?,
        activated_ms: row.try_get("activated_ms")?,
    })
}

pub(super) fn slot(row: &AnyRow) -> Result<Slot, StoreError> {
    let name: &str = row.try_get("slot")?;
    name.parse().map_err(|_| StoreError::Unexpected(format!("there is no slot {name}")))
}

fn to_i64(generation: u64) -> Result<i64, StoreError> {
    i64::try_from(generation)
        .map_err(|_| StoreError::Unexpected(format!("generation {generation} is too large")))
}
