-- Adjustments, credits that wait for a person after going live, and write-offs.

-- Adjustments by their key. Why and by whom stands here only, not in the journal.
CREATE TABLE adjustments (
    merchant_id text NOT NULL,
    adjustment_id text NOT NULL,
    currency text NOT NULL,
    amount numeric NOT NULL,
    -- For the merchant; else taken from them.
    credit boolean NOT NULL,
    order_id text,
    reason text NOT NULL,
    actor text NOT NULL,
    happened_at timestamptz NOT NULL,
    content bytea NOT NULL,
    CONSTRAINT adjustments_pkey PRIMARY KEY (merchant_id, adjustment_id),
    CONSTRAINT adjustments_above_zero CHECK (amount > 0 AND amount <> 'NaN')
);

-- opened_at is when the money became the merchant's, which says whether a person must release it
-- after going live; due_at is from when on the gate may let it go, never before it was written.
ALTER TABLE credits ADD COLUMN due_at timestamptz;
UPDATE credits SET due_at = opened_at;
ALTER TABLE credits ALTER COLUMN due_at SET NOT NULL;
DROP INDEX credits_by_instant;
CREATE INDEX credits_by_instant ON credits (due_at);

-- What two persons have written off: neither owed any more nor recovered. names_order is the order
-- that an adjustment names; order_id stays that of the refund or dispute that opened the debt.
ALTER TABLE receivables
    ADD COLUMN written_off numeric NOT NULL DEFAULT 0,
    ADD COLUMN names_order text,
    DROP CONSTRAINT receivables_within_original,
    ADD CONSTRAINT receivables_within_original
        CHECK (left_now >= 0 AND written_off >= 0 AND left_now + written_off <= original);
