-- The versions of each projection's tables. One of them serves: its tables are those in the schema `public`, which
-- queries read. Every other version has tables of the same names in a schema of its own,
-- `projection_<name>_v<version>`. A switch moves the tables between the schemas in one transaction.
CREATE TABLE projection_versions (
    name     text        NOT NULL,
    version  integer     NOT NULL CHECK (version > 0),
    rules    integer     NOT NULL, -- which rules fill it: the projection's VERSION in the program
    shards   smallint    NOT NULL DEFAULT 1 CHECK (shards BETWEEN 1 AND 64),
    state    text        NOT NULL CHECK (state IN ('building', 'serving', 'standby')),
    switches boolean     NOT NULL DEFAULT false, -- serves by itself as soon as it has caught up
    made_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version)
);
CREATE UNIQUE INDEX projection_versions_serving ON projection_versions (name) WHERE state = 'serving';

INSERT INTO projection_versions (name, version, rules, state)
SELECT name, version, version, 'serving' FROM projection_checkpoints;

-- Each shard of a version has a checkpoint of its own: it applies the streams whose hash is its own.
ALTER TABLE projection_checkpoints
    ADD COLUMN shard smallint NOT NULL DEFAULT 0,
    DROP CONSTRAINT projection_checkpoints_pkey,
    ADD PRIMARY KEY (name, version, shard),
    ADD FOREIGN KEY (name, version) REFERENCES projection_versions ON DELETE CASCADE;

-- Streams that a version of a projection has put aside at an event that it cannot apply. Later events of such a
-- stream wait in the log; all others go on.
CREATE TABLE parked_streams (
    name       text        NOT NULL,
    version    integer     NOT NULL,
    stream     text        NOT NULL,
    revision   bigint      NOT NULL, -- the first event that is not applied
    position   bigint      NOT NULL,
    event_type text        NOT NULL,
    error      text        NOT NULL,
    waiting    bigint      NOT NULL DEFAULT 1, -- wanted events that are not applied
    parked_at  timestamptz NOT NULL DEFAULT now(),
    asked      text CHECK (asked IN ('retry', 'skip')), -- what somebody wants done with it
    asked_by   text,
    reason     text, -- why the event is to be left out
    PRIMARY KEY (name, version, stream),
    FOREIGN KEY (name, version) REFERENCES projection_versions ON DELETE CASCADE
);

-- Events that somebody has decided to leave out of a version for good.
CREATE TABLE skipped_events (
    name       text        NOT NULL,
    version    integer     NOT NULL,
    stream     text        NOT NULL,
    revision   bigint      NOT NULL,
    event_type text        NOT NULL,
    error      text        NOT NULL,
    reason     text        NOT NULL,
    skipped_by text        NOT NULL,
    skipped_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version, stream, revision),
    FOREIGN KEY (name, version) REFERENCES projection_versions ON DELETE CASCADE
);
