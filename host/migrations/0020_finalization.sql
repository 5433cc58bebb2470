-- Where a trip began when it was closed last: a reading that comes late may
-- move its start past other trips, and those behind its old place are judged
-- again too.
ALTER TABLE trips ADD COLUMN closed_start_ms BIGINT;
UPDATE trips SET closed_start_ms = start_time_ms WHERE finalization_number > 0;
-- Attempts in a row that failed through no fault of the calculator.
ALTER TABLE trips ADD COLUMN setbacks BIGINT NOT NULL DEFAULT 0;
