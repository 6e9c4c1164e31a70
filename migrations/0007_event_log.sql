-- Which event log the read models were made from: the id of its first event. Tables that were made from another log
-- would be wrong without any sign of it.
CREATE TABLE event_log (
    is_the_one boolean PRIMARY KEY DEFAULT true CHECK (is_the_one),
    first_event_id uuid NOT NULL
);
