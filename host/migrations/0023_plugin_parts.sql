-- Components rest in parts, each written in a transaction of its own: a large
-- one in one piece kept all uploads waiting that long. Parts may be there before
-- their component, and after it; it is there when it has all of them.

CREATE TABLE plugin_parts (
    slot       TEXT NOT NULL,
    digest     TEXT NOT NULL,
    part       BIGINT NOT NULL,          -- from 0 on
    written_ms BIGINT NOT NULL,
    bytes      BYTEA NOT NULL,
    PRIMARY KEY (slot, digest, part)
);

-- What is there already is one part each, of whatever size.
INSERT INTO plugin_parts (slot, digest, part, written_ms, bytes)
    SELECT slot, digest, 0, used_ms, bytes FROM plugin_components;

ALTER TABLE plugin_components ADD COLUMN size_bytes BIGINT NOT NULL DEFAULT 0;
UPDATE plugin_components SET size_bytes = LENGTH(bytes);
ALTER TABLE plugin_components DROP COLUMN bytes;
-- The history says what was used last, whatever the clocks of several hosts say.
ALTER TABLE plugin_components DROP COLUMN used_ms;
