-- Everything holdback knows. Conventions: merchant_id leads every key of merchants' data, so the
-- same tables spread over shards; *_at is an instant, *_on a local date; amounts are exact
-- decimals whose scale is the currency's minor unit; constraints are named by what they promise.

-- One row: what the first start decided. Kept so that a later start can't silently decide otherwise.
CREATE TABLE deployment (
    only_one boolean NOT NULL DEFAULT true,
    name text NOT NULL,
    ingest_start text NOT NULL,
    release_not_before timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT deployment_pkey PRIMARY KEY (only_one),
    CONSTRAINT deployment_is_single CHECK (only_one)
);

-- Where each input partition has been applied to, moved in the transaction of the effects.
CREATE TABLE positions (
    topic text NOT NULL,
    partition integer NOT NULL,
    -- Null until the partition was first assigned.
    next_offset bigint,
    -- The last applied record, to recognise a topic that was deleted and made anew.
    last_offset bigint,
    last_digest bytea,
    -- Everything that was in the partition at this instant has been applied (the freshness gate).
    fresh_at timestamptz,
    -- Why nobody may read on; a person clears it.
    halted text,
    CONSTRAINT positions_pkey PRIMARY KEY (topic, partition)
);

-- One row that orders the arrival of agreements and calendars against the orders that use them:
-- a batch of orders holds it FOR SHARE, a batch with agreements FOR UPDATE.
CREATE TABLE catalogue (
    only_one boolean NOT NULL DEFAULT true,
    revision bigint NOT NULL DEFAULT 0,
    CONSTRAINT catalogue_pkey PRIMARY KEY (only_one),
    CONSTRAINT catalogue_is_single CHECK (only_one)
);
INSERT INTO catalogue DEFAULT VALUES;

CREATE TABLE agreements (
    merchant_id text NOT NULL,
    agreement_id text NOT NULL,
    version bigint NOT NULL,
    -- Short name of this version, referred to by orders and holds. Versions never change.
    agreement_no bigint GENERATED ALWAYS AS IDENTITY,
    content bytea NOT NULL,
    body jsonb NOT NULL,
    accepted_at timestamptz NOT NULL,
    CONSTRAINT agreements_pkey PRIMARY KEY (merchant_id, agreement_id, version)
);
-- One agreement_id belongs to one merchant: looked up when a version arrives.
CREATE INDEX agreements_by_id ON agreements (agreement_id);
CREATE INDEX agreements_by_no ON agreements (agreement_no);

CREATE TABLE calendars (
    calendar text NOT NULL,
    version bigint NOT NULL,
    content bytea NOT NULL,
    body jsonb NOT NULL,
    -- Set once every unreleased hold has been looked at again under this version.
    recomputed_at timestamptz,
    CONSTRAINT calendars_pkey PRIMARY KEY (calendar, version)
);

-- A merchant's place in its own journal. The journal is the outbox: what lies between
-- published_sequence and last_sequence is still to be published.
CREATE TABLE merchants (
    merchant_id text NOT NULL,
    last_sequence bigint NOT NULL,
    -- The last sequence in each output topic: what the next event there calls "previous".
    last_release_sequence bigint NOT NULL,
    last_event_sequence bigint NOT NULL,
    -- The same before the last transaction: what its first event in each topic calls "previous".
    prior_release_sequence bigint NOT NULL DEFAULT 0,
    prior_event_sequence bigint NOT NULL DEFAULT 0,
    published_sequence bigint NOT NULL DEFAULT 0,
    CONSTRAINT merchants_pkey PRIMARY KEY (merchant_id),
    CONSTRAINT merchants_publish_what_is_written CHECK (published_sequence <= last_sequence)
) WITH (fillfactor = 70);
CREATE INDEX merchants_unpublished ON merchants (merchant_id)
    WHERE published_sequence < last_sequence;

-- One row per order, also before the order itself is known: whichever fact comes first makes it,
-- and both lock it, so a refund that waits can't be overlooked.
CREATE TABLE orders (
    merchant_id text NOT NULL,
    order_id text NOT NULL,
    currency text,
    amount numeric,
    fees numeric,
    completed_at timestamptz,
    completed_content bytea,
    attributes jsonb,
    delivered_at timestamptz,
    delivered_content bytea,
    confirmed_at timestamptz,
    confirmed_content bytea,
    cancelled_at timestamptz,
    cancelled_content bytea,
    -- Null while the sale waits for an agreement.
    agreement_no bigint,
    free numeric,
    -- Which message brought the sale (see SourceTopic in the code).
    source_topic smallint,
    source_partition integer,
    source_offset bigint,
    traceparent text,
    CONSTRAINT orders_pkey PRIMARY KEY (merchant_id, order_id),
    CONSTRAINT orders_sale_is_whole CHECK (
        (completed_at IS NULL) = (amount IS NULL) AND (amount IS NULL) = (currency IS NULL)
        AND (amount IS NULL) = (fees IS NULL) AND (amount IS NULL) = (completed_content IS NULL)),
    CONSTRAINT orders_amount_above_zero CHECK (amount > 0 AND amount <> 'NaN'),
    CONSTRAINT orders_fees_within_amount CHECK (fees >= 0 AND fees <= amount),
    CONSTRAINT orders_apply_only_sales CHECK (agreement_no IS NULL OR amount IS NOT NULL)
) WITH (fillfactor = 90);
-- A fact that names the right order under the wrong merchant must be found (contract, section 10).
CREATE INDEX orders_by_order ON orders USING hash (order_id);
-- Sales that wait for an agreement.
CREATE INDEX orders_waiting ON orders (merchant_id)
    WHERE agreement_no IS NULL AND amount IS NOT NULL;

CREATE TABLE holds (
    merchant_id text NOT NULL,
    order_id text NOT NULL,
    term_no smallint NOT NULL,
    hold_id uuid NOT NULL,
    term text NOT NULL,
    currency text NOT NULL,
    agreement_no bigint NOT NULL,
    original numeric NOT NULL,
    left_now numeric NOT NULL,
    consumed numeric NOT NULL,
    released numeric NOT NULL,
    reversed numeric NOT NULL,
    -- What may not go now. Here and not in another table: the release statement locks this row.
    blocked numeric NOT NULL,
    barred boolean NOT NULL,
    anchor_at timestamptz,
    window_ends_at timestamptz,
    eligible_at timestamptz,
    release_at timestamptz,
    settlement_on date,
    -- Parts that a block kept past the hold's own date, with dates of their own.
    tails jsonb,
    limit_at timestamptz,
    limit_alerted_at timestamptz,
    calendar_version bigint,
    releases integer NOT NULL,
    traceparent text,
    CONSTRAINT holds_pkey PRIMARY KEY (merchant_id, order_id, term_no),
    CONSTRAINT holds_add_up CHECK (original = left_now + consumed + released + reversed),
    CONSTRAINT holds_never_negative CHECK (
        left_now >= 0 AND consumed >= 0 AND released >= 0 AND reversed >= 0),
    CONSTRAINT holds_original_above_zero CHECK (original > 0 AND original <> 'NaN'),
    CONSTRAINT holds_block_what_is_left CHECK (blocked >= 0 AND blocked <= left_now),
    CONSTRAINT holds_dates_are_whole CHECK (
        (window_ends_at IS NULL) = (release_at IS NULL)
        AND (eligible_at IS NULL) = (release_at IS NULL)
        AND (settlement_on IS NULL) = (release_at IS NULL))
) WITH (fillfactor = 80);
-- Unreleased holds that follow a calendar: looked at again when it changes.
CREATE INDEX holds_by_calendar ON holds (calendar_version)
    WHERE calendar_version IS NOT NULL AND left_now > 0;

-- When to look at which hold. A hint, not the truth: the hold's own row decides, so a hint is never
-- moved, only consumed (by ctid) and, if the hold must wait longer, written anew.
CREATE TABLE due (
    due_at timestamptz NOT NULL,
    merchant_id text NOT NULL,
    order_id text NOT NULL,
    term_no smallint NOT NULL,
    currency text NOT NULL
);
CREATE INDEX due_by_instant ON due (due_at, merchant_id);

-- Applied refunds.
CREATE TABLE refunds (
    merchant_id text NOT NULL,
    refund_id text NOT NULL,
    order_id text NOT NULL,
    -- Position among the order's refunds.
    ordinal integer NOT NULL,
    amount numeric NOT NULL,
    refunded_at timestamptz NOT NULL,
    dispute_id text,
    content bytea NOT NULL,
    charged numeric NOT NULL,
    from_reversed numeric NOT NULL,
    from_holds numeric NOT NULL,
    from_receivable numeric NOT NULL,
    CONSTRAINT refunds_pkey PRIMARY KEY (merchant_id, refund_id),
    CONSTRAINT refunds_above_zero CHECK (amount > 0 AND amount <> 'NaN')
);
CREATE INDEX refunds_by_order ON refunds (merchant_id, order_id);

CREATE TABLE disputes (
    merchant_id text NOT NULL,
    dispute_id text NOT NULL,
    order_id text NOT NULL,
    kind smallint NOT NULL,
    -- The update that kind comes from, and the one that amount comes from; the opening is 0.
    kind_version bigint NOT NULL,
    amount numeric,
    version bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    opened_content bytea NOT NULL,
    -- Every update seen: [[version, digest in hex], …].
    updates jsonb NOT NULL,
    closed_at timestamptz,
    closed_content bytea,
    outcome smallint,
    refund_expected numeric,
    charged numeric NOT NULL,
    from_reversed numeric NOT NULL,
    from_holds numeric NOT NULL,
    from_receivable numeric NOT NULL,
    CONSTRAINT disputes_pkey PRIMARY KEY (merchant_id, dispute_id),
    CONSTRAINT disputes_close_whole CHECK (
        (closed_at IS NULL) = (outcome IS NULL) AND (closed_at IS NULL) = (closed_content IS NULL))
);
CREATE INDEX disputes_by_order ON disputes (merchant_id, order_id);

-- Blocks other than disputes: reviews of bad messages, later legal and manual ones.
CREATE TABLE blocks (
    merchant_id text NOT NULL,
    order_id text NOT NULL,
    reference text NOT NULL,
    kind smallint NOT NULL,
    reason text NOT NULL,
    opened_at timestamptz NOT NULL,
    cleared_at timestamptz,
    CONSTRAINT blocks_pkey PRIMARY KEY (merchant_id, order_id, reference)
);

CREATE TABLE receivables (
    merchant_id text NOT NULL,
    receivable_id uuid NOT NULL,
    order_id text,
    currency text NOT NULL,
    original numeric NOT NULL,
    left_now numeric NOT NULL,
    opened_at timestamptz NOT NULL,
    cause_kind text NOT NULL,
    cause_id text NOT NULL,
    CONSTRAINT receivables_pkey PRIMARY KEY (merchant_id, receivable_id),
    CONSTRAINT receivables_within_original CHECK (left_now >= 0 AND left_now <= original)
);
CREATE INDEX receivables_by_order ON receivables (merchant_id, order_id);

-- Messages that wait for what they belong to, as they came, byte for byte.
CREATE TABLE parked (
    merchant_id text NOT NULL,
    order_id text NOT NULL,
    kind smallint NOT NULL,
    fact_id text NOT NULL,
    version bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    record_at timestamptz,
    key bytea,
    headers jsonb NOT NULL,
    value bytea NOT NULL,
    parked_at timestamptz NOT NULL,
    CONSTRAINT parked_pkey PRIMARY KEY (merchant_id, order_id, kind, fact_id, version)
);
-- The same id under another order is a mismatch; the same order under another merchant an alarm.
CREATE INDEX parked_by_fact ON parked (merchant_id, kind, fact_id);
CREATE INDEX parked_by_order ON parked (order_id);

-- The journal: append-only, every movement and every event, one line each, numbered per merchant
-- without gaps. Its money columns are double entry; its text is what the outside reads.
CREATE TABLE journal (
    merchant_id text NOT NULL,
    sequence bigint NOT NULL,
    previous bigint NOT NULL,
    event smallint NOT NULL,
    event_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    order_id text,
    hold_id uuid,
    currency text,
    debit smallint,
    credit smallint,
    amount numeric,
    -- The event's subject where it is not the hold.
    subject text,
    -- The event's own fields as JSON, without the envelope.
    data text NOT NULL,
    -- The message that caused it, if one did (see SourceTopic in the code).
    source_topic smallint,
    source_partition integer,
    source_offset bigint,
    traceparent text,
    CONSTRAINT journal_pkey PRIMARY KEY (merchant_id, sequence),
    CONSTRAINT journal_transfers_are_whole CHECK (
        (debit IS NULL) = (amount IS NULL) AND (credit IS NULL) = (amount IS NULL)),
    CONSTRAINT journal_transfers_above_zero CHECK (amount > 0 AND amount <> 'NaN')
);
-- A payout result names a release: event 12 is release.issued.
CREATE INDEX journal_releases ON journal (merchant_id, subject) WHERE event = 12;

CREATE TABLE settlements (
    merchant_id text NOT NULL,
    currency text NOT NULL,
    settlement_on date NOT NULL,
    settlement_id uuid NOT NULL,
    -- The instant of the settlement; what was due then has been released when a part closes.
    settled_at timestamptz NOT NULL,
    -- The open part, or the next one if none is open.
    part integer NOT NULL,
    releases bigint NOT NULL,
    gross numeric NOT NULL,
    recovered numeric NOT NULL,
    to_deposit numeric NOT NULL,
    -- The first pass found less than the minimum: everything of this date moves on.
    skipped boolean NOT NULL DEFAULT false,
    -- The releases of this settlement lie in this range of the merchant's journal.
    first_sequence bigint,
    last_sequence bigint,
    CONSTRAINT settlements_pkey PRIMARY KEY (merchant_id, currency, settlement_on)
) WITH (fillfactor = 80);
CREATE INDEX settlements_open ON settlements (settled_at) WHERE releases > 0;
CREATE INDEX settlements_by_id ON settlements (merchant_id, settlement_id);

-- Releases that the payout side has answered for; a release without a row is just issued.
CREATE TABLE payouts (
    merchant_id text NOT NULL,
    release_id uuid NOT NULL,
    order_id text,
    hold_id uuid,
    currency text NOT NULL,
    amount numeric NOT NULL,
    attempt integer NOT NULL,
    state smallint NOT NULL,
    answered_at timestamptz,
    CONSTRAINT payouts_pkey PRIMARY KEY (merchant_id, release_id)
);

-- Payout results by their key (id, attempt, type), also those that name nothing known.
CREATE TABLE payout_results (
    merchant_id text NOT NULL,
    subject uuid NOT NULL,
    attempt integer NOT NULL,
    paid boolean NOT NULL,
    content bytea NOT NULL,
    answered_at timestamptz NOT NULL,
    known boolean NOT NULL,
    CONSTRAINT payout_results_pkey PRIMARY KEY (merchant_id, subject, attempt, paid)
);

-- Messages that could not be accepted, as they came, byte for byte.
CREATE TABLE dead_letters (
    topic text NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    key bytea,
    headers jsonb NOT NULL,
    value bytea,
    record_at timestamptz,
    refused_at timestamptz NOT NULL,
    merchant_id text,
    order_id text,
    published boolean NOT NULL DEFAULT false,
    CONSTRAINT dead_letters_pkey PRIMARY KEY (topic, partition, record_offset)
);
CREATE INDEX dead_letters_unpublished ON dead_letters (refused_at) WHERE NOT published;

-- How far each output partition has been read back; what was read back is published.
CREATE TABLE read_back (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    CONSTRAINT read_back_pkey PRIMARY KEY (topic, partition)
);

-- Who publishes. A higher epoch fences the older publisher in Postgres as the transactional
-- producer does in Kafka.
CREATE TABLE publisher (
    only_one boolean NOT NULL DEFAULT true,
    epoch bigint NOT NULL DEFAULT 0,
    owner uuid,
    expires_at timestamptz,
    -- What was published and what is known here contradict each other: nothing is released until
    -- a person has looked and set this back to null.
    fault text,
    CONSTRAINT publisher_pkey PRIMARY KEY (only_one),
    CONSTRAINT publisher_is_single CHECK (only_one)
);
INSERT INTO publisher DEFAULT VALUES;
