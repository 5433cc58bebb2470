-- Routes that a vehicle drives again and again, by where they start and end.
CREATE TABLE routes (
    route_id        TEXT PRIMARY KEY,
    vehicle_id      TEXT NOT NULL,
    start_latitude  DOUBLE PRECISION NOT NULL, -- of its first trip
    start_longitude DOUBLE PRECISION NOT NULL,
    end_latitude    DOUBLE PRECISION NOT NULL,
    end_longitude   DOUBLE PRECISION NOT NULL,
    trip_count      BIGINT NOT NULL,
    last_used_ms    BIGINT NOT NULL            -- start of the latest trip that was ever on it
);
CREATE INDEX routes_by_vehicle ON routes (vehicle_id, last_used_ms);
-- The route of the last finalization, where routes are looked for.
ALTER TABLE trips ADD COLUMN route_id TEXT;
