-- Dead letters that people look for and replay.
ALTER TABLE dead_letters
    -- A topic that is made anew counts its offsets from 0 again: another message at a known place is
    -- another dead letter.
    ADD COLUMN digest bytea NOT NULL
        GENERATED ALWAYS AS (sha256(coalesce(value, ''::bytea))) STORED,
    ADD COLUMN replays integer NOT NULL DEFAULT 0,
    -- The operation of the last replay.
    ADD COLUMN replayed_by uuid,
    -- Since when it is none any more: a replay was accepted.
    ADD COLUMN accepted_at timestamptz,
    DROP CONSTRAINT dead_letters_pkey,
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (topic, partition, record_offset, digest);
-- What people look for: the open ones by time, and those of an order.
CREATE INDEX dead_letters_open ON dead_letters (refused_at) WHERE accepted_at IS NULL;
CREATE INDEX dead_letters_by_order ON dead_letters (merchant_id, order_id)
    WHERE merchant_id IS NOT NULL;
