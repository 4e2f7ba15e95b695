-- The releases that payout results name, by release or by settlement ($1 merchants, $2 subjects), and
-- a row in payouts for each, so that it can be locked. Event 12 is release.issued; another attempt issues
-- the same release again.
WITH k AS MATERIALIZED (
    SELECT DISTINCT * FROM unnest($1::text[], $2::uuid[]) AS k (merchant_id, subject)),
released AS (
    SELECT k.subject AS asked, j.* FROM k JOIN journal j
      ON j.merchant_id = k.merchant_id AND j.subject = k.subject::text
     AND j.event = 12 AND j.data::json->>'attempt' = '1'
    UNION ALL
    SELECT k.subject, j.* FROM k
    JOIN settlements s ON s.merchant_id = k.merchant_id AND s.settlement_id = k.subject
    JOIN journal j ON j.merchant_id = s.merchant_id AND j.event = 12
     AND j.sequence BETWEEN s.first_sequence AND s.last_sequence
     AND j.data::json->>'settlement_id' = k.subject::text
     AND j.data::json->>'attempt' = '1'),
stubs AS (
    INSERT INTO payouts (merchant_id, release_id, order_id, hold_id, currency,
        amount, attempt, state)
    SELECT DISTINCT merchant_id, subject::uuid, order_id, hold_id, currency,
        (data::json->>'amount')::numeric, 1, 1 FROM released
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING)
SELECT merchant_id AS "merchant_id!", asked AS "asked!",
       subject::uuid AS "release_id!"
FROM released ORDER BY sequence
