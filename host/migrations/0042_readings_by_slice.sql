-- Trips that are driven at one time share the pages of the index of readings:
-- it goes by slices of 4,096 ms, and by trip within a slice. A reading of each
-- of a hundred trips changes a few pages then, and not a hundred.
CREATE TABLE readings_by_slice (
    trip_id     TEXT NOT NULL,
    time_ms     BIGINT NOT NULL CHECK (time_ms > 0),
    received_ms BIGINT NOT NULL,
    layout_id   BIGINT NOT NULL,
    numbers     BYTEA NOT NULL,          -- one bit a field: is it there; then 8 bytes each, little-endian
    unknown     TEXT NOT NULL            -- JSON object, PID to text as sent
);
INSERT INTO readings_by_slice (trip_id, time_ms, received_ms, layout_id, numbers, unknown)
    SELECT trip_id, time_ms, received_ms, layout_id, numbers, unknown FROM readings;

-- When a trip has readings: spans of 64 slices, by which they are found.
CREATE TABLE trip_spans (
    trip_id TEXT NOT NULL,
    span    BIGINT NOT NULL,             -- time_ms / 262144
    PRIMARY KEY (trip_id, span)
);
INSERT INTO trip_spans (trip_id, span) SELECT DISTINCT trip_id, time_ms / 262144 FROM readings;

DROP TABLE readings;
ALTER TABLE readings_by_slice RENAME TO readings;
CREATE UNIQUE INDEX readings_by_slice ON readings ((time_ms / 4096), trip_id, time_ms);
