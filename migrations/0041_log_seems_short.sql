-- The log does not seem to go as far as the share's checkpoint: it was restored from a backup, or the event store's node is
-- behind the others. Until that is decided, nobody takes the share's rows for what is in the log.
ALTER TABLE projection_checkpoints ADD COLUMN log_seems_short boolean NOT NULL DEFAULT false;
