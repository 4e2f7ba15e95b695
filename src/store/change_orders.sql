-- Orders that are there and locked: each is found by its key, whatever is known of the table's size.
INSERT INTO orders (merchant_id, order_id, currency, amount, fees, completed_at,
    completed_content, attributes, delivered_at, delivered_content, confirmed_at,
    confirmed_content, cancelled_at, cancelled_content, agreement_no, free,
    source_topic, source_partition, source_offset, traceparent, charged_in)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::numeric[],
    $5::numeric[], $6::timestamptz[], $7::bytea[], $8::jsonb[], $9::timestamptz[],
    $10::bytea[], $11::timestamptz[], $12::bytea[], $13::timestamptz[], $14::bytea[],
    $15::bigint[], $16::numeric[], $17::smallint[], $18::integer[], $19::bigint[],
    $20::text[], $21::text[])
ON CONFLICT (merchant_id, order_id) DO UPDATE SET
    currency = excluded.currency, amount = excluded.amount, fees = excluded.fees,
    completed_at = excluded.completed_at,
    completed_content = excluded.completed_content,
    attributes = excluded.attributes, delivered_at = excluded.delivered_at,
    delivered_content = excluded.delivered_content,
    confirmed_at = excluded.confirmed_at,
    confirmed_content = excluded.confirmed_content,
    cancelled_at = excluded.cancelled_at,
    cancelled_content = excluded.cancelled_content,
    agreement_no = excluded.agreement_no, free = excluded.free,
    source_topic = excluded.source_topic,
    source_partition = excluded.source_partition,
    source_offset = excluded.source_offset, traceparent = excluded.traceparent,
    charged_in = excluded.charged_in
