//! What a message or a release costs does not follow how much is held: no table that grows is read
//! whole by what runs all the time.

use sqlx::PgPool;

use crate::harness::Holdback;
use crate::harness::eventually;
use crate::harness::facts::{
    agreement, cancelled, closed, confirmed, delivered, opened, order, refund, refund_reversed,
};

/// Orders that are held already, for other merchants.
const HELD: i64 = 20_000;
/// Orders that come and go meanwhile.
const NEW: usize = 50;
/// How many of them are released: each fifth is cancelled.
const STAY: i64 = 40;

/// One order's rows, times [`HELD`].
const MULTIPLY: [&str; 5] = [
    "INSERT INTO merchants (merchant_id, last_sequence, last_release_sequence, last_event_sequence,
         prior_release_sequence, prior_event_sequence, published_sequence)
     SELECT 'H-' || n, last_sequence, last_release_sequence, last_event_sequence,
         prior_release_sequence, prior_event_sequence, published_sequence
     FROM merchants, generate_series(1, $1::bigint) n WHERE merchant_id = 'M-0'",
    "INSERT INTO orders (merchant_id, order_id, currency, amount, fees, completed_at,
         completed_content, agreement_no, free, source_topic, source_partition, source_offset)
     SELECT 'H-' || n, 'H-' || n, currency, amount, fees, completed_at, completed_content,
         agreement_no, free, source_topic, source_partition, source_offset
     FROM orders, generate_series(1, $1::bigint) n WHERE merchant_id = 'M-0'",
    "INSERT INTO holds (merchant_id, order_id, term_no, hold_id, term, currency, agreement_no,
         original, left_now, consumed, released, reversed, blocked, barred, anchor_at,
         window_ends_at, eligible_at, release_at, settlement_on, limit_at, releases)
     SELECT 'H-' || n, 'H-' || n, term_no, gen_random_uuid(), term, currency, agreement_no,
         original, left_now, consumed, released, reversed, blocked, barred, anchor_at,
         window_ends_at + interval '1 year', eligible_at + interval '1 year',
         release_at + interval '1 year', settlement_on + 365, limit_at, releases
     FROM holds, generate_series(1, $1::bigint) n WHERE merchant_id = 'M-0'",
    "INSERT INTO due (due_at, merchant_id, order_id, term_no, currency)
     SELECT due_at + interval '1 year', 'H-' || n, 'H-' || n, term_no, currency
     FROM due, generate_series(1, $1::bigint) n WHERE merchant_id = 'M-0'",
    "INSERT INTO journal (merchant_id, sequence, previous, event, event_id, occurred_at, order_id,
         hold_id, currency, debit, credit, amount, data)
     SELECT 'H-' || n, sequence, previous, event, gen_random_uuid(),
         occurred_at - interval '30 days', 'H-' || n, hold_id, currency, debit, credit, amount, data
     FROM journal, generate_series(1, $1::bigint) n WHERE merchant_id = 'M-0'",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_already_is_not_read_again_for_what_comes_and_goes() {
    let mut hb = Holdback::start("growth", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-0", "O-0", "10", "11-03"));
    hb.applied().await;
    hb.pass_to("11-04 12:00").await;
    hb.summed_up().await;
    hb.stop().await;
    for rows in MULTIPLY {
        let made = sqlx::query(rows).bind(HELD).execute(hb.pool()).await;
        let made = made.expect("rows of this test").rows_affected();
        assert!(made >= HELD.unsigned_abs(), "{rows}");
    }
    // What autovacuum does by and by.
    let summarize = "SELECT brin_summarize_new_values('journal_by_time')";
    for sql in ["ANALYZE", summarize, "SELECT pg_stat_reset()"] {
        sqlx::query(sql).execute(hb.pool()).await.expect(sql);
    }
    hb.run().await;
    for n in 0..NEW {
        let (m, o) = (&format!("M-{}", n % 7), &format!("O-{n}-new"));
        hb.send(order(m, o, "10", "11-03"));
        hb.send(delivered(m, o, "11-03"));
        hb.send(confirmed(m, o, "11-03"));
        hb.send(refund(m, o, o, "1", "11-03"));
        hb.send(opened(m, o, o, "complaint", "11-03"));
        hb.send(closed(m, o, o, "won", "11-03"));
        hb.send(refund_reversed(m, o, "11-03"));
        if n % 5 == 0 {
            hb.send(cancelled(m, o, "11-03"));
        }
    }
    hb.applied().await;
    hb.pass_to("11-20").await;
    hb.published().await;
    hb.stop().await;
    // A connection's figures are written when it ends.
    hb.pool().close().await;
    let pool = PgPool::connect(&hb.bed.database_url).await;
    let pool = pool.expect("PostgreSQL");
    let figures = eventually("the figures of all connections", async || {
        let figures: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT relname, seq_tup_read, n_tup_upd FROM pg_stat_user_tables
             WHERE relname IN ('merchants', 'orders', 'holds', 'due', 'journal') ORDER BY 1",
        )
        .fetch_all(&pool)
        .await
        .map_err(|error| error.to_string())?;
        let released = figures.iter().find(|it| it.0 == "holds").map(|it| it.2);
        (released >= Some(STAY))
            .then_some(figures)
            .ok_or_else(|| format!("{released:?} holds were changed"))
    })
    .await;
    for (table, read, _) in figures {
        assert!(
            read < HELD,
            "{read} rows of {table} were read by reading it whole"
        );
    }
}
