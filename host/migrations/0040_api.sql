-- What the API filters trips by and adds up, beside what is there already. A
-- trip that was closed before these columns were there has them when it is
-- closed again.
ALTER TABLE trips ADD COLUMN gas_miles DOUBLE PRECISION;
ALTER TABLE trips ADD COLUMN electric_kwh_used DOUBLE PRECISION;
ALTER TABLE trips ADD COLUMN fuel_used_gallons DOUBLE PRECISION;
ALTER TABLE trips ADD COLUMN gas_mode_entered BIGINT;
ALTER TABLE trips ADD COLUMN weather_temperature_f DOUBLE PRECISION;
ALTER TABLE trips ADD COLUMN weather_conditions TEXT;
-- What its owner calls a vehicle.
ALTER TABLE vehicles ADD COLUMN name TEXT;
-- Trips that were deleted, as long as readings of theirs are left: they go in
-- portions, so that uploads do not wait for them.
CREATE TABLE deleted_trips (
    trip_id    TEXT PRIMARY KEY,
    deleted_ms BIGINT NOT NULL
);
