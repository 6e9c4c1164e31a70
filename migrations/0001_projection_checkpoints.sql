-- How far each version of each projection has come in the log.
--
-- `position` is the position of the last event whose effect is in the tables; null before the first. It moves in
-- the transaction that writes the effect, by compare-and-set, so an event is never counted twice or lost.
-- Table names in the projections' SQL are never qualified with a schema: a later version of a projection can
-- fill tables of the same names in a schema of its own.
CREATE TABLE projection_checkpoints (
    name           text        NOT NULL,
    version        integer     NOT NULL,
    position       bigint,
    events_applied bigint      NOT NULL DEFAULT 0,
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version)
) WITH (fillfactor = 50);
