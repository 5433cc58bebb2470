-- What events say of their service is alike in all events of one process with
-- one set of plugins, and longer than a third of each: it is kept once.
CREATE TABLE event_services (
    id            BIGINT PRIMARY KEY,
    environment   TEXT NOT NULL,
    deployment_id TEXT NOT NULL,
    body          JSONB NOT NULL
);
INSERT INTO event_services (id, environment, deployment_id, body)
SELECT MIN(e.id), MIN(e.environment), MIN(e.deployment_id), b.body -> 'service'
FROM events e JOIN event_bodies b ON b.id = e.id
GROUP BY b.body -> 'service';

ALTER TABLE events ADD COLUMN service_id BIGINT REFERENCES event_services (id);
UPDATE events SET service_id = (
    SELECT s.id FROM event_bodies b JOIN event_services s ON s.body = b.body -> 'service' WHERE b.id = events.id
);
CREATE INDEX events_by_service ON events (service_id, started_us);

DROP INDEX events_by_environment;
DROP INDEX events_by_deployment;
DROP INDEX events_failed;
ALTER TABLE events DROP COLUMN environment;
ALTER TABLE events DROP COLUMN deployment_id;
CREATE INDEX events_failed ON events (usage_tier, started_us, service_id, operation, error_code, sampling_rate)
    WHERE success = 0;
