-- When the last block of a hold's own part was cleared: its money goes no earlier, whatever its
-- dates are, also when they become known only later. The tails say it of their own.
ALTER TABLE holds ADD COLUMN cleared_at timestamptz;

-- Until now it was known only from dates that it had put off.
UPDATE holds SET cleared_at = eligible_at
    WHERE eligible_at > greatest(window_ends_at, anchor_at);
UPDATE holds SET tails = (
        SELECT jsonb_agg(
            tail || jsonb_build_object('cleared_at', tail -> 'dates' -> 'eligible_at') ORDER BY n)
        FROM jsonb_array_elements(tails) WITH ORDINALITY AS t (tail, n))
    WHERE tails IS NOT NULL;
