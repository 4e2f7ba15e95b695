-- Releasing a hold touches no index: a row that only moves money stays where it is (HOT).

-- The calendar's version that the dates of an unreleased hold come from.
ALTER TABLE holds ADD COLUMN live_calendar bigint
    GENERATED ALWAYS AS (CASE WHEN left_now > 0 THEN calendar_version END) STORED;
DROP INDEX holds_by_calendar;
CREATE INDEX holds_by_calendar ON holds (agreement_no, live_calendar)
    WHERE live_calendar IS NOT NULL;
-- Never written: a calendar's holds are found by holds_by_calendar.
ALTER TABLE calendars DROP COLUMN recomputed_at;

-- What is counted every second is found without reading what is long settled.
CREATE INDEX holds_undated ON holds (merchant_id)
    WHERE release_at IS NULL AND anchor_at IS NOT NULL;
CREATE INDEX disputes_expecting ON disputes (closed_at) WHERE refund_expected IS NOT NULL;
