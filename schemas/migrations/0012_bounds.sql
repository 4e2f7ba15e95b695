-- What keeps one input from costing the others: rows of bad messages, counted with the position.

-- Dead letters in a row up to the position: too many halt the partition.
ALTER TABLE positions ADD COLUMN bad_in_a_row integer NOT NULL DEFAULT 0
    CONSTRAINT positions_count_bad_messages CHECK (bad_in_a_row >= 0);

-- What waits, by how long: the watch asks each second, people ask for the oldest.
CREATE INDEX parked_by_time ON parked (parked_at);
CREATE INDEX strays_by_time ON strays (parked_at);
