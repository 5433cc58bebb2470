-- The fuel level that a trip's fills were judged against. A trip before it may
-- come late and end with another one: then it is judged again.
ALTER TABLE trips ADD COLUMN previous_fuel_level_percent DOUBLE PRECISION;
