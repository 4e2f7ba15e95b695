-- A deployment whose first start was a shadow: it decides and keeps releases that another system
-- pays. From the settlement date live_from on (null: no day is set yet) releases are its own.
ALTER TABLE deployment
    ADD COLUMN shadow boolean NOT NULL DEFAULT false,
    ADD COLUMN live_from date,
    ADD CONSTRAINT deployment_live_from_ends_a_shadow CHECK (shadow OR live_from IS NULL);
