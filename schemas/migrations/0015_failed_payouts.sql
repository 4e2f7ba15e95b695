-- Releases whose payout has failed are issued again by how long they have waited (state 3 is failed).
CREATE INDEX payouts_failed ON payouts (answered_at) WHERE state = 3;
