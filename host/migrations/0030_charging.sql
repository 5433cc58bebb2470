-- What a trip's end finds beside its figures. All rows of a trip are replaced
-- when it is finalized again.

-- One row a charging session.
CREATE TABLE charging_sessions (
    trip_id           TEXT NOT NULL,
    start_time_ms     BIGINT NOT NULL,
    vehicle_id        TEXT NOT NULL,
    end_time_ms       BIGINT NOT NULL,
    complete          BIGINT NOT NULL,   -- 1: the readings show its end
    charge_type       TEXT NOT NULL,
    start_soc_percent DOUBLE PRECISION,
    end_soc_percent   DOUBLE PRECISION,
    peak_power_kw     DOUBLE PRECISION NOT NULL,
    avg_power_kw      DOUBLE PRECISION NOT NULL,
    kwh_added         DOUBLE PRECISION,
    cost_usd          DOUBLE PRECISION,
    curve             TEXT NOT NULL,     -- JSON list of a few of its readings
    PRIMARY KEY (trip_id, start_time_ms)
);
CREATE INDEX charging_sessions_by_vehicle ON charging_sessions (vehicle_id, start_time_ms, trip_id);
CREATE INDEX charging_sessions_by_start ON charging_sessions (start_time_ms, trip_id);

-- One row a fill, during a trip or since the trip before it.
CREATE TABLE refuels (
    trip_id              TEXT NOT NULL,
    time_ms              BIGINT NOT NULL,
    vehicle_id           TEXT NOT NULL,
    level_before_percent DOUBLE PRECISION NOT NULL,
    level_after_percent  DOUBLE PRECISION NOT NULL,
    gallons              DOUBLE PRECISION NOT NULL,
    cost_usd             DOUBLE PRECISION,
    odometer_miles       DOUBLE PRECISION,
    latitude             DOUBLE PRECISION, -- of the reading next to it
    longitude            DOUBLE PRECISION,
    PRIMARY KEY (trip_id, time_ms)
);
CREATE INDEX refuels_by_vehicle ON refuels (vehicle_id, time_ms, trip_id);
CREATE INDEX refuels_by_time ON refuels (time_ms, trip_id);

-- One row a trip on which the engine took over from an empty battery.
CREATE TABLE soc_transitions (
    trip_id        TEXT PRIMARY KEY,
    vehicle_id     TEXT NOT NULL,
    time_ms        BIGINT NOT NULL,
    soc_percent    DOUBLE PRECISION,
    ambient_temp_f DOUBLE PRECISION,
    odometer_miles DOUBLE PRECISION
);
CREATE INDEX soc_transitions_by_vehicle ON soc_transitions (vehicle_id, time_ms, trip_id);

-- What a trip cost: JSON object of the calculator. Absent where nothing that it
-- used is known.
ALTER TABLE trips ADD COLUMN cost TEXT;
