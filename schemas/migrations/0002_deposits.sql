-- Debts that releases recover, and credits: what a merchant is owed apart from any hold.

-- A release asks for the open receivables of its merchant and currency, oldest first.
CREATE INDEX receivables_open ON receivables (merchant_id, currency, opened_at, receivable_id)
    WHERE left_now > 0;

-- Credits that wait for the clock; a released one is in the journal only. Until then their sum
-- stands in the account held.
CREATE TABLE credits (
    merchant_id text NOT NULL,
    credit_id uuid NOT NULL,
    order_id text,
    currency text NOT NULL,
    amount numeric NOT NULL,
    opened_at timestamptz NOT NULL,
    traceparent text,
    CONSTRAINT credits_pkey PRIMARY KEY (merchant_id, credit_id),
    CONSTRAINT credits_above_zero CHECK (amount > 0 AND amount <> 'NaN')
);
CREATE INDEX credits_by_instant ON credits (opened_at);

-- What each merchant has placed with the platform. Changed under the merchant's row.
CREATE TABLE deposits (
    merchant_id text NOT NULL,
    currency text NOT NULL,
    balance numeric NOT NULL,
    CONSTRAINT deposits_pkey PRIMARY KEY (merchant_id, currency),
    CONSTRAINT deposits_never_negative CHECK (balance >= 0 AND balance <> 'NaN')
) WITH (fillfactor = 80);

-- Payments into deposits and out of them, by their key.
CREATE TABLE deposit_transactions (
    merchant_id text NOT NULL,
    withdrawn boolean NOT NULL,
    transaction_id text NOT NULL,
    amount numeric NOT NULL,
    currency text NOT NULL,
    happened_at timestamptz NOT NULL,
    content bytea NOT NULL,
    CONSTRAINT deposit_transactions_pkey PRIMARY KEY (merchant_id, withdrawn, transaction_id),
    CONSTRAINT deposit_transactions_above_zero CHECK (amount > 0 AND amount <> 'NaN')
);

-- What refunds and lost chargebacks took out of the deposit.
ALTER TABLE refunds ADD COLUMN from_deposit numeric NOT NULL DEFAULT 0;
ALTER TABLE disputes ADD COLUMN from_deposit numeric NOT NULL DEFAULT 0;
