-- Kept events, for queries. What is often asked for has columns; the event
-- itself stands in a table beside them, so that counting walks past none.
CREATE TABLE events (
    id              BIGINT PRIMARY KEY,
    request_id      TEXT NOT NULL,
    started_us      BIGINT NOT NULL,
    operation       TEXT NOT NULL,
    success         BIGINT NOT NULL,
    environment     TEXT NOT NULL,
    deployment_id   TEXT NOT NULL,
    usage_tier      TEXT,
    error_code      TEXT,
    trace_id        TEXT,
    duration_ms     DOUBLE PRECISION NOT NULL,
    -- Durations of one bucket differ by a few percent: a histogram is made of it.
    duration_bucket BIGINT NOT NULL,
    sampling_rate   DOUBLE PRECISION NOT NULL,
    -- What the event takes, with its share of the indexes.
    stored_bytes    BIGINT NOT NULL
);
-- JSONB is what both engines call JSON that is taken apart already.
CREATE TABLE event_bodies (
    id   BIGINT PRIMARY KEY REFERENCES events (id) ON DELETE CASCADE,
    body JSONB NOT NULL
);
-- Numbers of events are given out by the thousand.
CREATE TABLE event_numbers (
    next_id BIGINT NOT NULL
);
INSERT INTO event_numbers (next_id) VALUES (1);

CREATE UNIQUE INDEX events_by_request ON events (request_id);
CREATE INDEX events_by_time ON events (started_us, id, stored_bytes);
CREATE INDEX events_by_operation ON events (operation, started_us);
CREATE INDEX events_by_environment ON events (environment, started_us);
CREATE INDEX events_by_deployment ON events (deployment_id, started_us);
CREATE INDEX events_by_tier ON events (usage_tier, started_us);
CREATE INDEX events_by_duration ON events (operation, duration_bucket, duration_ms, sampling_rate);
CREATE INDEX events_by_trace ON events (trace_id, started_us) WHERE trace_id IS NOT NULL;
CREATE INDEX events_by_code ON events (error_code, started_us) WHERE error_code IS NOT NULL;
-- Failures are few, and asked for most.
CREATE INDEX events_failed ON events (usage_tier, started_us, deployment_id, operation, error_code, sampling_rate)
    WHERE success = 0;
