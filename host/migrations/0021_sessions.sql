-- When what a session is known by was sent: requests come late and twice, and
-- the one that was sent last says how it is.
ALTER TABLE sessions ADD COLUMN profile_time_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN default_units_time_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN user_units_time_ms BIGINT NOT NULL DEFAULT 0;
