-- Reviews: their deadlines, their answers, and answers that came before them.

CREATE TABLE reviews (
    merchant_id text NOT NULL,
    review_id text NOT NULL,
    order_id text NOT NULL,
    -- Of the message that asked for it; null: the order's amount did.
    requested_content bytea,
    reason text,
    opened_at timestamptz NOT NULL,
    asked_at timestamptz NOT NULL,
    respond_by timestamptz NOT NULL,
    reminded boolean NOT NULL,
    overdue boolean NOT NULL,
    answered_at timestamptz,
    answered_content bytea,
    answer text,
    evidence text[],
    decided_content bytea,
    decide_by timestamptz,
    alerts integer NOT NULL,
    closed_at timestamptz,
    decision smallint,
    closed_by smallint,
    closed_name text,
    closed_reason text,
    CONSTRAINT reviews_pkey PRIMARY KEY (merchant_id, review_id),
    CONSTRAINT reviews_answer_is_whole CHECK (
        (answered_at IS NULL) = (answer IS NULL) AND (answered_at IS NULL) = (evidence IS NULL)
        AND (answered_at IS NULL) = (answered_content IS NULL)),
    CONSTRAINT reviews_close_whole CHECK (
        (closed_at IS NULL) = (decision IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL)),
    CONSTRAINT reviews_alert_about_decisions CHECK (alerts = 0 OR decide_by IS NOT NULL)
);
CREATE INDEX reviews_by_order ON reviews (merchant_id, order_id);
-- Reviews on which somebody is late.
CREATE INDEX reviews_late ON reviews (merchant_id)
    WHERE closed_at IS NULL AND (overdue OR alerts > 0);

-- "Look at this order's reviews then." A hint like those in due: consumed, never moved.
CREATE TABLE review_due (
    due_at timestamptz NOT NULL,
    merchant_id text NOT NULL,
    order_id text NOT NULL
);
CREATE INDEX review_due_by_instant ON review_due (due_at, merchant_id);

-- Which order a review is of: answers and decisions name the review only. Whichever of them and the
-- review comes first makes the row, and all lock it, so an answer that waits can't be overlooked.
CREATE TABLE review_orders (
    merchant_id text NOT NULL,
    review_id text NOT NULL,
    -- Null while the review itself has not come.
    order_id text,
    CONSTRAINT review_orders_pkey PRIMARY KEY (merchant_id, review_id)
);

-- Answers and decisions whose review has not come, as they came, byte for byte.
CREATE TABLE parked_reviews (
    merchant_id text NOT NULL,
    review_id text NOT NULL,
    kind smallint NOT NULL,
    content bytea NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    record_at timestamptz,
    key bytea,
    headers jsonb NOT NULL,
    value bytea NOT NULL,
    parked_at timestamptz NOT NULL,
    CONSTRAINT parked_reviews_pkey PRIMARY KEY (merchant_id, review_id, kind)
);
