-- The days that are over, summed up (control.daily): per currency what stood on the accounts, of all
-- merchants together, at the end of a day of UTC. Credits less debits, so a row adds up to nothing.
CREATE TABLE controls (
    day_on date NOT NULL,
    currency text NOT NULL,
    proceeds numeric NOT NULL,
    held numeric NOT NULL,
    payable numeric NOT NULL,
    refunded numeric NOT NULL,
    deposit numeric NOT NULL,
    receivable numeric NOT NULL,
    paid numeric NOT NULL,
    platform numeric NOT NULL,
    CONSTRAINT controls_pkey PRIMARY KEY (day_on, currency),
    CONSTRAINT controls_add_up CHECK (
        proceeds + held + payable + refunded + deposit + receivable + paid + platform = 0)
);

-- Reviews that somebody has to decide or to answer, for whoever lists them.
CREATE INDEX reviews_open ON reviews (merchant_id) WHERE closed_at IS NULL;

-- A day's lines, without reading the others: the journal grows in the order of time, so a summary
-- of each stretch of it is enough, and costs a line next to nothing.
CREATE INDEX journal_by_time ON journal USING brin (occurred_at) WITH (autosummarize = on);
