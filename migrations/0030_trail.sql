-- The audit trail's index: one short row for each event of the shop, so that events are found by what they are, by
-- whom, for which purchase and when. What they say stays in the log and is read there. Written by the projection `trail`.
CREATE TABLE trail (
    position    bigint      PRIMARY KEY,
    kind        bigint      NOT NULL, -- of trail_kinds
    correlation uuid,                 -- none where the metadata is not ours
    occurred_at timestamptz NOT NULL  -- business time
);

CREATE INDEX trail_by_kind ON trail (kind, position);
CREATE INDEX trail_by_correlation ON trail (correlation);
CREATE INDEX trail_by_time ON trail (occurred_at);

-- What an event is and who did it: a few dozen rows, instead of three texts and three indexes for every event. The key
-- is a digest of the other columns, so that several workers can write without asking each other.
CREATE TABLE trail_kinds (
    kind       bigint PRIMARY KEY,
    category   text NOT NULL,
    event_type text NOT NULL,
    actor      text NOT NULL
);
