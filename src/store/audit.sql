-- The journal's sums against the rows that they stand for; a row per difference.
-- Accounts by number: 1 proceeds, 2 held, 3 payable, 5 deposit, 6 receivable, 7 paid. An account's balance is
-- what it was credited less what it was debited; a debt stands on the debit side. Events 12 and 13
-- (release.issued, settlement.closed) are the ones of the releases' topic; 32 is receivable.written_off. Only event 15 (payout.settled)
-- pays what the table payouts knows: a shadow's releases are paid by another system. Of the days that
-- are summed up the last one is compared, which the others lead to.
WITH moves AS (
    SELECT merchant_id, currency, occurred_at, debit AS account, -amount AS amount, event FROM journal
    WHERE amount IS NOT NULL
    UNION ALL
    SELECT merchant_id, currency, occurred_at, credit, amount, event FROM journal
    WHERE amount IS NOT NULL),
balances AS (
    SELECT merchant_id, currency, account, sum(amount) AS balance
    FROM moves WHERE account <> 7 OR event = 15 GROUP BY merchant_id, currency, account),
tables AS (
    SELECT merchant_id, currency, 2::smallint AS account, sum(held) AS balance
    FROM (SELECT merchant_id, currency, left_now AS held FROM holds
          UNION ALL SELECT merchant_id, currency, amount FROM credits) AS kept
    GROUP BY merchant_id, currency
    UNION ALL
    SELECT merchant_id, currency, 6::smallint, -sum(left_now)
    FROM receivables GROUP BY merchant_id, currency
    UNION ALL
    SELECT merchant_id, currency, 5::smallint, balance FROM deposits
    UNION ALL
    SELECT merchant_id, currency, 7::smallint, sum(amount)
    FROM payouts WHERE state = 2 GROUP BY merchant_id, currency),
accounts AS (
    SELECT merchant_id, currency, account, coalesce(b.balance, 0) AS journal,
           coalesce(t.balance, 0) AS tables
    FROM (SELECT * FROM balances WHERE account IN (2, 5, 6, 7)) b
    FULL JOIN tables t USING (merchant_id, currency, account)),
written_off AS (
    SELECT merchant_id, currency, coalesce(j.balance, 0) AS journal,
           coalesce(t.balance, 0) AS tables
    FROM (SELECT merchant_id, currency,
                 sum(CASE WHEN credit = 6 THEN amount ELSE -amount END) AS balance
          FROM journal WHERE event = 32 GROUP BY merchant_id, currency) j
    FULL JOIN (SELECT merchant_id, currency, sum(written_off) AS balance
               FROM receivables GROUP BY merchant_id, currency) t USING (merchant_id, currency)),
per_hold AS (
    SELECT h.merchant_id, h.currency, h.hold_id,
           coalesce(j.held, 0) AS journal, h.left_now AS tables
    FROM holds h
    LEFT JOIN (SELECT hold_id, merchant_id,
                      sum(CASE WHEN credit = 2 THEN amount ELSE -amount END) AS held
               FROM journal WHERE hold_id IS NOT NULL AND (credit = 2 OR debit = 2)
               GROUP BY hold_id, merchant_id) j
      ON j.merchant_id = h.merchant_id AND j.hold_id = h.hold_id),
last_day AS (SELECT max(day_on) AS day_on FROM controls),
days AS (
    SELECT day_on, currency, account, coalesce(j.balance, 0) AS journal, coalesce(c.balance, 0) AS tables
    FROM (SELECT currency, account, a.balance
          FROM controls JOIN last_day USING (day_on)
          CROSS JOIN LATERAL (VALUES (1::smallint, proceeds), (2::smallint, held),
              (3::smallint, payable), (4::smallint, refunded), (5::smallint, deposit),
              (6::smallint, receivable), (7::smallint, paid), (8::smallint, platform))
              AS a (account, balance)) c
    FULL JOIN (SELECT currency, account, sum(amount) AS balance
               FROM moves, last_day
               WHERE occurred_at < (day_on + 1)::timestamp AT TIME ZONE 'UTC'
               GROUP BY currency, account) j USING (currency, account)
    CROSS JOIN last_day),
numbering AS (
    SELECT m.merchant_id, m.last_sequence, coalesce(j.lines, 0) AS lines,
           coalesce(j.top, 0) AS top, coalesce(j.broken, 0) AS broken
    FROM merchants m
    LEFT JOIN (
        SELECT merchant_id, count(*) AS lines, max(sequence) AS top,
               count(*) FILTER (WHERE previous <> before) AS broken
        FROM (SELECT merchant_id, sequence, previous,
                     coalesce(lag(sequence) OVER (
                         PARTITION BY merchant_id, event IN (12, 13)
                         ORDER BY sequence), 0) AS before
              FROM journal) chained
        GROUP BY merchant_id) j USING (merchant_id))
SELECT check_name AS "check!", merchant_id AS "merchant_id!", currency,
       journal AS "journal!", tables AS "tables!"
FROM (
    SELECT CASE account WHEN 2 THEN 'held' WHEN 5 THEN 'deposit' WHEN 6 THEN 'receivable' ELSE 'paid' END
               AS check_name, merchant_id, currency, journal::text, tables::text
    FROM accounts WHERE journal <> tables
    UNION ALL
    SELECT 'written off', merchant_id, currency, journal::text, tables::text
    FROM written_off WHERE journal <> tables
    UNION ALL
    SELECT 'hold ' || hold_id::text, merchant_id, currency, journal::text,
           tables::text
    FROM per_hold WHERE journal <> tables
    UNION ALL
    SELECT 'payable below zero', merchant_id, currency, balance::text, '0'
    FROM balances WHERE account = 3 AND balance < 0
    UNION ALL
    SELECT format('control %s account %s', day_on, account), '*', currency, journal::text,
           tables::text
    FROM days WHERE journal <> tables
    UNION ALL
    SELECT 'sequence', merchant_id, NULL,
           format('%s lines up to %s, %s wrong previous', lines, top, broken),
           format('last_sequence %s', last_sequence)
    FROM numbering WHERE lines <> last_sequence OR top <> last_sequence OR broken > 0
) AS found
ORDER BY 2, 1 LIMIT 1000
