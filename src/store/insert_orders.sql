-- New orders. One that another transaction has made meanwhile is an error.
INSERT INTO orders (merchant_id, order_id, currency, amount, fees, completed_at,
    completed_content, attributes, delivered_at, delivered_content, confirmed_at,
    confirmed_content, cancelled_at, cancelled_content, agreement_no, free,
    source_topic, source_partition, source_offset, traceparent, charged_in)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::numeric[],
    $5::numeric[], $6::timestamptz[], $7::bytea[], $8::jsonb[], $9::timestamptz[],
    $10::bytea[], $11::timestamptz[], $12::bytea[], $13::timestamptz[], $14::bytea[],
    $15::bigint[], $16::numeric[], $17::smallint[], $18::integer[], $19::bigint[],
    $20::text[], $21::text[])
