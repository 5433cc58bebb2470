-- A phone may be in several cars. What a session is keyed by is the phone; the
-- vehicle is the phone's own, or that of the profile that the session has.

ALTER TABLE sessions RENAME COLUMN vehicle_id TO phone_id;
ALTER TABLE quarantine RENAME COLUMN vehicle_id TO phone_id;

-- The cars of a phone, by the names of their profiles. The first that was ever
-- received shares the phone's own id.
CREATE TABLE cars (
    phone_id     TEXT NOT NULL,
    profile_name TEXT NOT NULL,
    vehicle_id   TEXT NOT NULL UNIQUE,
    PRIMARY KEY (phone_id, profile_name)
);

-- What is there was counted for the phone's own vehicle, whatever its profiles
-- were, and stays there.
INSERT INTO cars (phone_id, profile_name, vehicle_id)
    SELECT phone_id, profile_name, phone_id
    FROM (SELECT phone_id, profile_name,
                 ROW_NUMBER() OVER (PARTITION BY phone_id ORDER BY received_ms, session_id) AS place
          FROM sessions WHERE profile_name IS NOT NULL) AS named
    WHERE place = 1;

-- One row a trip: a phone's session. Written anew, since SQLite cannot take a
-- constraint from a table, and an insert that meets two of them could fail on
-- the one that it does not name.
CREATE TABLE trips_of_phones (
    trip_id             TEXT PRIMARY KEY,
    phone_id            TEXT NOT NULL,
    vehicle_id          TEXT NOT NULL,
    session_id          TEXT NOT NULL,
    status              TEXT NOT NULL,   -- open, closed, failed
    start_time_ms       BIGINT NOT NULL, -- first and last reading
    end_time_ms         BIGINT NOT NULL,
    first_received_ms   BIGINT NOT NULL,
    last_received_ms    BIGINT NOT NULL,
    quiet_since_ms      BIGINT NOT NULL,
    reading_count       BIGINT NOT NULL DEFAULT 0,
    duplicate_count     BIGINT NOT NULL DEFAULT 0,
    conflict_count      BIGINT NOT NULL DEFAULT 0,
    lease_owner         TEXT,
    lease_until_ms      BIGINT NOT NULL DEFAULT 0,
    attempts            BIGINT NOT NULL DEFAULT 0,
    next_attempt_ms     BIGINT NOT NULL DEFAULT 0,
    failed_digest       TEXT,
    finalization_number BIGINT NOT NULL DEFAULT 0,
    closed_ms           BIGINT,
    start_odometer_miles DOUBLE PRECISION,
    start_soc           DOUBLE PRECISION,
    distance_miles      DOUBLE PRECISION,
    electric_miles      DOUBLE PRECISION,
    kwh_per_mile        DOUBLE PRECISION,
    soc_at_gas_transition DOUBLE PRECISION,
    fuel_level_at_end   DOUBLE PRECISION,
    settled_fuel_level_percent DOUBLE PRECISION,
    summary             TEXT,
    calculator          TEXT,
    counted             BIGINT NOT NULL DEFAULT 0,
    counted_miles_e6    BIGINT NOT NULL DEFAULT 0,
    counted_kwh_per_mile_e6 BIGINT,
    counted_gas_mpg_e6  BIGINT,
    previous_fuel_level_percent DOUBLE PRECISION,
    closed_start_ms     BIGINT,
    setbacks            BIGINT NOT NULL DEFAULT 0,
    weather             TEXT,
    cost                TEXT,
    route_id            TEXT,
    gas_miles           DOUBLE PRECISION,
    electric_kwh_used   DOUBLE PRECISION,
    fuel_used_gallons   DOUBLE PRECISION,
    gas_mode_entered    BIGINT,
    weather_temperature_f DOUBLE PRECISION,
    weather_conditions  TEXT,
    UNIQUE (phone_id, session_id)
);
INSERT INTO trips_of_phones
    SELECT trip_id, vehicle_id, vehicle_id, session_id, status, start_time_ms, end_time_ms, first_received_ms,
           last_received_ms, quiet_since_ms, reading_count, duplicate_count, conflict_count, lease_owner,
           lease_until_ms, attempts, next_attempt_ms, failed_digest, finalization_number, closed_ms,
           start_odometer_miles, start_soc, distance_miles, electric_miles, kwh_per_mile, soc_at_gas_transition,
           fuel_level_at_end, settled_fuel_level_percent, summary, calculator, counted, counted_miles_e6,
           counted_kwh_per_mile_e6, counted_gas_mpg_e6, previous_fuel_level_percent, closed_start_ms, setbacks,
           weather, cost, route_id, gas_miles, electric_kwh_used, fuel_used_gallons, gas_mode_entered,
           weather_temperature_f, weather_conditions
    FROM trips;
DROP TABLE trips;
ALTER TABLE trips_of_phones RENAME TO trips;
CREATE INDEX trips_unfinished ON trips (quiet_since_ms) WHERE status <> 'closed';
CREATE INDEX trips_by_vehicle ON trips (vehicle_id, start_time_ms, trip_id);
CREATE INDEX trips_by_start ON trips (start_time_ms, trip_id);
