-- What the clock has yet to look at by an instant. A credit whose order is blocked waits for a
-- person, as does one from before going live.
SELECT (SELECT count(*) FROM due WHERE due_at <= $1)
     + (SELECT count(*) FROM credits c, deployment
        WHERE c.due_at <= $1 AND c.opened_at >= release_not_before
          AND NOT EXISTS (SELECT FROM blocks b WHERE b.merchant_id = c.merchant_id
              AND b.order_id = c.order_id AND b.cleared_at IS NULL))
     + (SELECT count(*) FROM review_due WHERE due_at <= $1)
     + (SELECT count(*) FROM settlements WHERE releases > 0 AND settled_at <= $1)
