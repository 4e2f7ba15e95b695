-- A deployment whose first start was a shadow: it decides and keeps releases that another system
-- pays. From the settlement date live_from on (null: no day is set yet) releases are its own.
ALTER TABLE deployment
    ADD COLUMN shadow boolean NOT NULL DEFAULT false,
    ADD COLUMN live_from date,
    ADD CONSTRAINT deployment_live_from_ends_a_shadow CHECK (shadow OR live_from IS NULL);

-- What was taken over from an earlier system, line by line: the same line twice does nothing.
CREATE TABLE imported (
    merchant_id text NOT NULL,
    -- 1 order, 2 deposit, 3 receivable.
    kind smallint NOT NULL,
    -- The order's, transaction's or receivable's own id.
    id text NOT NULL,
    content bytea NOT NULL,
    operation_id uuid NOT NULL,
    CONSTRAINT imported_pkey PRIMARY KEY (merchant_id, kind, id)
);
