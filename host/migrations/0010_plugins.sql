-- The plugin library. Components rest here once they passed every check, so
-- that a slot can be served, or go back, without the file they came from.

-- The components that each slot served last, by the SHA-256 of their bytes.
CREATE TABLE plugin_components (
    slot    TEXT NOT NULL,
    digest  TEXT NOT NULL,
    used_ms BIGINT NOT NULL,             -- last activation
    -- PostgreSQL's name for it; SQLite stores bytes as they are in any column.
    bytes   BYTEA NOT NULL,
    PRIMARY KEY (slot, digest)
);

-- One row an activation: the newest of a slot is what serves it, on every
-- host that shares this database. `generation` counts a slot's activations.
CREATE TABLE plugin_activations (
    slot            TEXT NOT NULL,
    generation      BIGINT NOT NULL,
    digest          TEXT NOT NULL,
    settings_digest TEXT NOT NULL,
    settings        TEXT NOT NULL,       -- JSON object, as plugins.toml says it
    name            TEXT NOT NULL,
    version         TEXT NOT NULL,
    way             TEXT NOT NULL,       -- start, watch, sighup, api, rollback, auto_rollback
    activated_ms    BIGINT NOT NULL,
    PRIMARY KEY (slot, generation)
);
CREATE INDEX plugin_activations_by_digest
    ON plugin_activations (slot, digest, settings_digest, generation);

-- What was tried and is not tried again by itself.
CREATE TABLE plugin_rejections (
    slot            TEXT NOT NULL,
    digest          TEXT NOT NULL,
    settings_digest TEXT NOT NULL,
    verdict         TEXT NOT NULL,       -- refused, rolled_back
    code            TEXT NOT NULL,
    reason          TEXT NOT NULL,
    rejected_ms     BIGINT NOT NULL,
    PRIMARY KEY (slot, digest, settings_digest)
);
