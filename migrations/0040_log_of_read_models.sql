-- A position means nothing without its log. The positions of a version's checkpoints are places in this log; null for
-- those that were noted before logs had ids.
ALTER TABLE projection_versions ADD COLUMN log_id uuid;
-- The log has lost events that the version has applied: it was restored from a backup.
ALTER TABLE projection_versions ADD COLUMN is_lost boolean NOT NULL DEFAULT false;
-- The event at the position, if it is one of the shop's: another one there is another history.
ALTER TABLE projection_checkpoints ADD COLUMN event_id uuid;
