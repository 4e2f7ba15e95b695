-- Refunds that did not go through after all, and everything that waits for what it names.

ALTER TABLE refunds ADD COLUMN reversed_at timestamptz;
ALTER TABLE refunds ADD COLUMN reversed_content bytea;
ALTER TABLE refunds ADD CONSTRAINT refunds_reversed_whole
    CHECK ((reversed_at IS NULL) = (reversed_content IS NULL));

-- Answers and decisions wait for their review, reversals for their refund.
ALTER TABLE parked_reviews RENAME TO strays;
ALTER TABLE strays RENAME COLUMN review_id TO subject_id;
ALTER TABLE strays RENAME CONSTRAINT parked_reviews_pkey TO strays_pkey;
CREATE INDEX strays_of_refunds ON strays (merchant_id, subject_id) WHERE kind = 12;
