-- Runs that compare everything with the log. A row is a run that is asked for until it has an end; whoever holds the
-- lock does it, and does it again if the process before it died.
CREATE TABLE reconciliations (
    id          uuid PRIMARY KEY,
    asked_at    timestamptz NOT NULL,
    asked_by    text        NOT NULL, -- operator, schedule
    started_at  timestamptz,
    doing       text,                 -- what it is at, while it runs
    finished_at timestamptz,
    failure     text,                 -- why it could not be done
    events      bigint,
    rows        bigint,
    differences bigint,
    report      jsonb                 -- the first differences with their events
);

CREATE INDEX reconciliations_by_time ON reconciliations (asked_at DESC);
