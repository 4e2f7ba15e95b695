-- A database that went back in time: restored from a backup, or taken over from a replica that had not
-- got everything. What was published since then can't be decided anew under the same numbers.

-- Which database this is, and since when its server runs: another one after each restart, restore
-- and failover, the only moments at which something committed can be lost.
CREATE FUNCTION server_identity() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT oid::text || '/' || extract(epoch FROM pg_postmaster_start_time())::text
    FROM pg_database WHERE datname = current_database()
$$;

-- The identity under which a publisher last found that the output topics hold what the journal says.
-- Under any other nothing is decided; null: nobody has published yet.
ALTER TABLE publisher ADD COLUMN compared_on text;

-- Events that the output topics hold and the journal had lost, taken over by `holdback reconcile`. The
-- same facts make them again, with the same ids: such a line then takes the number, time and words
-- under which it was published, and its row goes.
CREATE TABLE published_elsewhere (
    merchant_id text NOT NULL,
    event_id uuid NOT NULL,
    sequence bigint NOT NULL,
    previous bigint NOT NULL,
    event smallint NOT NULL,
    occurred_at timestamptz NOT NULL,
    order_id text,
    hold_id uuid,
    currency text,
    subject text,
    data text NOT NULL,
    traceparent text,
    imported_at timestamptz NOT NULL,
    operation_id uuid NOT NULL,
    -- What was decided under the id instead, where its money is other money.
    contradiction text,
    -- It stands in the journal as it was published, nothing having been decided under its id.
    taken boolean NOT NULL DEFAULT false,
    CONSTRAINT published_elsewhere_pkey PRIMARY KEY (merchant_id, event_id),
    CONSTRAINT published_elsewhere_numbers UNIQUE (merchant_id, sequence)
);
CREATE INDEX published_elsewhere_open ON published_elsewhere (event) WHERE NOT taken;
CREATE INDEX published_elsewhere_releases ON published_elsewhere (merchant_id, order_id)
    WHERE event = 12 AND NOT taken;

-- Dead letters that their topic holds, likewise: refused again, they are not published again.
CREATE TABLE buried_elsewhere (
    topic text NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    CONSTRAINT buried_elsewhere_pkey PRIMARY KEY (topic, partition, record_offset)
);

-- By how much the broker's clock and the publisher's disagree, as words; null while they agree.
ALTER TABLE publisher ADD COLUMN clocks text;
