-- The weather along a trip and what it does to consumption: JSON object of the
-- calculator. Absent where none was asked for, or none could be had.
ALTER TABLE trips ADD COLUMN weather TEXT;
