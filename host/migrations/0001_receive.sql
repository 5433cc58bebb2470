-- What the receiver keeps. One text for SQLite and PostgreSQL: BIGINT and
-- DOUBLE PRECISION only, times in epoch milliseconds, ids made by the host.

-- Facts about this installation, such as the key of its hashes.
CREATE TABLE installation (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- One row a vehicle, with its closed trips added up. Sums are whole
-- millionths, so that taking a trip's contribution out again is exact.
CREATE TABLE vehicles (
    vehicle_id          TEXT PRIMARY KEY,
    first_received_ms   BIGINT NOT NULL,
    first_trip_start_ms BIGINT NOT NULL,
    revision            BIGINT NOT NULL DEFAULT 0, -- grows with each change
    total_trips         BIGINT NOT NULL DEFAULT 0,
    miles_e6            BIGINT NOT NULL DEFAULT 0,
    kwh_per_mile_e6     BIGINT NOT NULL DEFAULT 0,
    kwh_per_mile_trips  BIGINT NOT NULL DEFAULT 0,
    gas_mpg_e6          BIGINT NOT NULL DEFAULT 0,
    gas_mpg_trips       BIGINT NOT NULL DEFAULT 0
);

-- What profile and unit requests teach about a session.
CREATE TABLE sessions (
    vehicle_id     TEXT NOT NULL,
    session_id     TEXT NOT NULL,
    received_ms    BIGINT NOT NULL,
    profile_name   TEXT,
    profile        TEXT,                 -- JSON object
    default_units  TEXT,                 -- JSON object, PID to unit
    unit_conflicts TEXT,                 -- JSON list
    user_units     TEXT,                 -- JSON object
    PRIMARY KEY (vehicle_id, session_id)
);

-- One row a trip: a vehicle's session.
CREATE TABLE trips (
    trip_id             TEXT PRIMARY KEY,
    vehicle_id          TEXT NOT NULL,
    session_id          TEXT NOT NULL,
    status              TEXT NOT NULL,   -- open, closed, failed
    start_time_ms       BIGINT NOT NULL, -- first and last reading
    end_time_ms         BIGINT NOT NULL,
    first_received_ms   BIGINT NOT NULL,
    last_received_ms    BIGINT NOT NULL,
    -- Nothing was received after this time, as far as was looked: never later
    -- than last_received_ms, and moved only when it has become old. An index
    -- on it need not change with each upload.
    quiet_since_ms      BIGINT NOT NULL,
    reading_count       BIGINT NOT NULL DEFAULT 0,
    duplicate_count     BIGINT NOT NULL DEFAULT 0,
    conflict_count      BIGINT NOT NULL DEFAULT 0,
    -- Finalization: who works on it, until when; how often it failed.
    lease_owner         TEXT,
    lease_until_ms      BIGINT NOT NULL DEFAULT 0,
    attempts            BIGINT NOT NULL DEFAULT 0,
    next_attempt_ms     BIGINT NOT NULL DEFAULT 0,
    failed_digest       TEXT,
    finalization_number BIGINT NOT NULL DEFAULT 0,
    closed_ms           BIGINT,
    -- Figures that are asked for by value; all of them are in the summary.
    start_odometer_miles DOUBLE PRECISION,
    start_soc           DOUBLE PRECISION,
    distance_miles      DOUBLE PRECISION,
    electric_miles      DOUBLE PRECISION,
    kwh_per_mile        DOUBLE PRECISION,
    soc_at_gas_transition DOUBLE PRECISION,
    fuel_level_at_end   DOUBLE PRECISION,
    settled_fuel_level_percent DOUBLE PRECISION,
    summary             TEXT,            -- JSON object of the calculator
    calculator          TEXT,            -- JSON object: name, version, digest
    -- This trip's contribution to its vehicle's row; 0 and NULL unless closed.
    counted             BIGINT NOT NULL DEFAULT 0,
    counted_miles_e6    BIGINT NOT NULL DEFAULT 0,
    counted_kwh_per_mile_e6 BIGINT,
    counted_gas_mpg_e6  BIGINT,
    UNIQUE (vehicle_id, session_id)
);
CREATE INDEX trips_unfinished ON trips (quiet_since_ms) WHERE status <> 'closed';
CREATE INDEX trips_by_vehicle ON trips (vehicle_id, start_time_ms, trip_id);
CREATE INDEX trips_by_start ON trips (start_time_ms, trip_id);

-- The fields of a PID catalogue, in the order in which readings hold their
-- numbers. A reading names its layout instead of each of its fields.
CREATE TABLE layouts (
    layout_id   BIGINT PRIMARY KEY,      -- hash of the names
    field_names TEXT NOT NULL            -- JSON list
);

-- One row a reading. Equal content is equal bytes and equal text.
CREATE TABLE readings (
    trip_id     TEXT NOT NULL,
    time_ms     BIGINT NOT NULL CHECK (time_ms > 0),
    received_ms BIGINT NOT NULL,
    layout_id   BIGINT NOT NULL,
    numbers     BYTEA NOT NULL,          -- one bit a field: is it there; then 8 bytes each, little-endian
    unknown     TEXT NOT NULL,           -- JSON object, PID to text as sent
    PRIMARY KEY (trip_id, time_ms)
);

-- What could not be stored, with identity replaced by its hash.
CREATE TABLE quarantine (
    quarantine_id TEXT PRIMARY KEY,
    received_ms   BIGINT NOT NULL,
    code          TEXT NOT NULL,
    reason        TEXT NOT NULL,
    vehicle_id    TEXT,
    session_id    TEXT,
    request       TEXT NOT NULL
);
CREATE INDEX quarantine_by_time ON quarantine (received_ms);
