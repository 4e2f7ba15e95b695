//! More than one machine: a merchant's rows can lie on one of them, since every key and every statement
//! says whose they are. No Citus is needed, and nothing here shows that holdback runs on it.

mod keys;
mod statements;

use holdback::store::shards::TABLES;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Executor, PgPool};

use crate::harness::process::{holdback, migrate, run_to_end};
use crate::harness::{TestBed, queries};

/// A table that may stand in any statement without its merchants: empty but after a database went back
/// in time, so each shard answers at once.
const SELDOM: &str = "published_elsewhere";

/// Statements that do not say whose rows they are about: a part of each, and what it asks each shard
/// for. A shard answers for its own merchants.
const OF_EACH_SHARD: [(&str, &str); 34] = [
    // The service's own loops.
    (
        "DELETE FROM due WHERE ctid = ANY",
        "what is due; by ctid, so one shard at a time",
    ),
    (
        "FROM review_due WHERE due_at <= $1",
        "reviews to look at; by ctid, so one shard at a time",
    ),
    (
        "DELETE FROM paused_due d WHERE NOT EXISTS",
        "what a pause kept and its end lets go",
    ),
    (
        "FROM credits c WHERE c.due_at <= $1",
        "credits that are due",
    ),
    (
        "FROM settlements s WHERE s.releases > 0 AND s.settled_at <= $1",
        "settlements to close",
    ),
    (
        "WHERE published_sequence < last_sequence AND merchant_id > $1",
        "lines to publish",
    ),
    (
        "FROM payout_results r WHERE NOT r.known",
        "payout results whose release has come",
    ),
    (
        "FROM strays s LEFT JOIN refunds r",
        "reversals whose refund has come",
    ),
    (
        "FROM orders WHERE agreement_no IS NULL AND amount IS NOT NULL AND (merchant_id, order_id) > ",
        "orders that an agreement may rule now",
    ),
    (
        "WHERE agreement_no = a.agreement_no AND live_calendar < c.version",
        "holds that follow an older calendar",
    ),
    (
        "FROM payouts d WHERE state = 3 AND answered_at <= $1",
        "failed payouts to issue again",
    ),
    // The same order under another merchant (contract, section 10).
    (
        "WHERE order_id = k.order_id AND merchant_id <> k.merchant_id",
        "orders of this id of others",
    ),
    (
        "WHERE p.order_id = k.order_id AND p.merchant_id <> k.merchant_id",
        "what waits for orders of this id of others",
    ),
    (
        "WHERE o.order_id = k.order_id AND o.merchant_id <> k.merchant_id",
        "blocks for facts under the wrong merchant",
    ),
    // What is counted for the metrics and the readiness.
    (r#"AS "parked_too_long!""#, "what waits, and for how long"),
    (r#"AS "backlog!""#, "how much is not published"),
    (
        "sum(left_now - blocked) AS \"due!\"",
        "sums of what will be due",
    ),
    (
        "SELECT min(occurred_at) AS \"at: Instant\" FROM journal",
        "the first day to sum up",
    ),
    (
        "FROM journal j LEFT JOIN LATERAL json_to_record(",
        "a day's sums",
    ),
    // Commands of people.
    ("-- The journal's sums against the rows", "audit"),
    (r#"(SELECT count(*) FROM journal) AS "lines!""#, "audit"),
    (
        "SELECT merchant_id, last_sequence, published_sequence FROM merchants",
        "reconcile",
    ),
    (
        "SELECT merchant_id FROM merchants WHERE merchant_id > $1 ORDER BY merchant_id LIMIT 1000",
        "export",
    ),
    ("LOCK TABLE imported", "import: one at a time"),
    (
        "$4::text IS NULL OR merchant_id = $4",
        "parked list, of one merchant or of all",
    ),
    (
        "JOIN orders o ON (n.merchant_id = '*' OR",
        "agreements: orders that came before them",
    ),
    (
        "$1::text IS NULL OR r.merchant_id = $1",
        "review list, of one merchant or of all",
    ),
    (r#"AS "owed!" FROM (SELECT currency"#, "demo"),
    ("FROM published_elsewhere e JOIN holds h", "reconcile"),
    (
        "FROM settlements WHERE settlement_on = $1 AND NOT skipped",
        "release --dry-run",
    ),
    (
        "(h.merchant_id, h.order_id, h.term_no) > ($1, $2, $3)",
        "release --dry-run",
    ),
    (
        "$1::text IS NULL OR merchant_id = $1",
        "receivable list, of one merchant or of all",
    ),
    (
        "AND o.merchant_id = coalesce($3, o.merchant_id)",
        "agreement reapply, of one merchant or of all",
    ),
    (r#"AS "without_agreement!""#, "demo"),
];

/// The statement in one line, as the parts above are written.
fn in_one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn pool(bed: &TestBed) -> PgPool {
    let connected = PgPoolOptions::new().max_connections(1);
    connected
        .connect(&bed.database_url)
        .await
        .expect("PostgreSQL")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_of_merchants_data_is_led_by_the_merchant() {
    let bed = TestBed::new("keys").await;
    tokio::task::block_in_place(|| migrate(&bed));
    let pool = pool(&bed).await;
    let mut connection = pool.acquire().await.expect("a connection");
    assert_eq!(
        keys::complaints(&mut connection).await,
        Vec::<String>::new()
    );
    drop(connection);
    // The check itself is checked: each of these is found, alone.
    for (wrong, said) in [
        (
            "CREATE TABLE shops (shop text PRIMARY KEY, merchant_id text)",
            "shops is not laid out",
        ),
        (
            "ALTER TABLE payouts ADD CONSTRAINT once UNIQUE (release_id, merchant_id)",
            "once of payouts is not led by merchant_id",
        ),
        (
            "CREATE UNIQUE INDEX once ON holds (hold_id)",
            "once of holds is not led by merchant_id",
        ),
        (
            "CREATE UNIQUE INDEX once ON holds ((upper(merchant_id)))",
            "once of holds is not led by merchant_id",
        ),
        (
            "ALTER TABLE holds DROP CONSTRAINT holds_pkey, ADD CONSTRAINT holds_pkey
                 PRIMARY KEY (order_id, merchant_id, term_no)",
            "holds_pkey of holds is not led by merchant_id",
        ),
        (
            "ALTER TABLE holds ADD CONSTRAINT of_operation FOREIGN KEY (hold_id)
                 REFERENCES operations (operation_id)",
            "of_operation of holds is not led by merchant_id",
        ),
        (
            "ALTER TABLE due ALTER merchant_id DROP NOT NULL",
            "a row of due may name no merchant",
        ),
        ("DROP TABLE strays", "strays is laid out, and not one table"),
    ] {
        let mut transaction = pool.begin().await.expect("a transaction");
        transaction.execute(wrong).await.expect(wrong);
        assert_eq!(keys::complaints(&mut transaction).await, [said], "{wrong}");
        transaction.rollback().await.expect("as it was");
    }
}

#[test]
fn every_statement_says_whose_rows_it_is_about_or_asks_each_shard() {
    let mut used = [false; OF_EACH_SHARD.len()];
    let mut tied = 0;
    for (sql, _) in queries() {
        let mut untied = statements::untied(&sql);
        untied.retain(|table| table != SELDOM);
        let sql = in_one_line(&sql);
        if untied.is_empty() {
            tied += 1;
            continue;
        }
        let part = OF_EACH_SHARD
            .iter()
            .position(|(part, _)| sql.contains(part));
        let part = part.unwrap_or_else(|| {
            panic!("tie {untied:?} to the merchants that it is about, or say why not: {sql}")
        });
        used[part] = true;
    }
    assert!(tied > 100, "only {tied} statements");
    for ((part, _), used) in OF_EACH_SHARD.iter().zip(used) {
        assert!(used, "no statement needs this any more: {part}");
    }
}

#[test]
fn a_statement_that_does_not_say_whose_rows_it_is_about_is_found() {
    for (sql, untied) in [
        ("SELECT * FROM holds WHERE hold_id = $1", &["holds"][..]),
        ("SELECT * FROM holds -- WHERE merchant_id = $1", &["holds"]),
        ("SELECT * FROM holds WHERE merchant_id <> $1", &["holds"]),
        (
            "SELECT * FROM holds WHERE merchant_id = $1 OR left_now > 0",
            &["holds"],
        ),
        (
            "SELECT * FROM holds h JOIN orders o USING (order_id) WHERE h.merchant_id = $1",
            &["orders"],
        ),
        (
            "SELECT * FROM holds h JOIN orders o USING (merchant_id, order_id)",
            &["holds", "orders"],
        ),
        (
            "SELECT FROM holds h, orders o WHERE o.merchant_id = $1",
            &["holds"],
        ),
        (
            "SELECT FROM orders WHERE merchant_id = $1 UNION SELECT FROM orders",
            &["orders"],
        ),
        (
            "SELECT FROM orders o JOIN agreements a ON a.merchant_id = o.merchant_id",
            &["orders"],
        ),
        (
            "UPDATE holds h SET barred = true FROM unnest($1::text[]) AS k (order_id) WHERE h.order_id = k.order_id",
            &["holds"],
        ),
        ("DELETE FROM due WHERE ctid = ANY ($1)", &["due"]),
        (
            "SELECT EXISTS (SELECT FROM refunds r WHERE r.refund_id = $1)",
            &["refunds"],
        ),
        (
            "INSERT INTO due (due_at) SELECT now() FROM merchants WHERE merchant_id = $1",
            &["due"],
        ),
        ("INSERT INTO due SELECT * FROM unnest($1::text[])", &["due"]),
        ("LOCK TABLE holds", &["holds"]),
    ] {
        assert_eq!(statements::untied(sql), untied, "{sql}");
    }
    for sql in [
        "SELECT FROM holds WHERE merchant_id = $1 AND (barred OR left_now > 0)",
        "SELECT FROM holds WHERE merchant_id = ANY ($1)",
        "SELECT FROM orders o JOIN holds h ON h.merchant_id = o.merchant_id WHERE $1 = o.merchant_id",
        "SELECT FROM unnest($1::text[]) AS k (id) CROSS JOIN LATERAL (SELECT FROM holds h WHERE h.merchant_id = k.merchant_id) x",
        "WITH k AS (SELECT merchant_id FROM merchants WHERE merchant_id = $1) UPDATE due d SET due_at = now() FROM k WHERE d.merchant_id = k.merchant_id",
        "INSERT INTO due (merchant_id, due_at) SELECT * FROM unnest($1::text[])",
        "SELECT 'FROM holds' FROM positions",
    ] {
        assert_eq!(statements::untied(sql), Vec::<String>::new(), "{sql}");
    }
}

/// Stands in for Citus: notes what is laid out, and refuses to do it twice, as Citus does.
const STAND_IN: &str = "
    CREATE SCHEMA citus;
    CREATE TABLE citus.pg_dist_partition (logicalrelid regclass PRIMARY KEY, by text, beside text);
    CREATE FUNCTION citus.create_distributed_table(regclass, text, colocate_with text)
        RETURNS void LANGUAGE sql AS 'INSERT INTO citus.pg_dist_partition VALUES ($1, $2, $3)';
    CREATE FUNCTION citus.create_reference_table(regclass)
        RETURNS void LANGUAGE sql AS 'INSERT INTO citus.pg_dist_partition VALUES ($1)'";

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_are_laid_out_once_and_only_where_there_is_citus() {
    let bed = TestBed::new("laid-out").await;
    let run = |arguments: &[&str]| {
        let arguments = [&["migrate", "--distribute", "citus"], arguments].concat();
        tokio::task::block_in_place(|| run_to_end(holdback(&bed, &arguments, &[])))
    };
    let refused = run(&[]);
    assert_eq!(refused.code, Some(1), "{}", refused.said);
    assert!(
        refused
            .said
            .contains("this database has no Citus, nothing was done"),
        "{}",
        refused.said
    );
    let pool = pool(&bed).await;
    let nothing = "SELECT to_regclass('merchants') IS NULL";
    let nothing: bool = sqlx::query_scalar(nothing)
        .fetch_one(&pool)
        .await
        .expect("tables");
    assert!(nothing);

    let printed = run(&["--dry-run"]);
    assert_eq!(printed.code, Some(0), "{}", printed.said);
    let lines: Vec<&str> = printed.said.lines().collect();
    assert_eq!(lines.len(), TABLES.len(), "{}", printed.said);
    for (table, _) in TABLES {
        let named = lines.iter().filter(|line| {
            line.contains(&format!("_table('{table}'"))
                || line.starts_with(&format!("-- {table}: "))
        });
        assert_eq!(named.count(), 1, "{table}: {}", printed.said);
    }

    pool.execute(STAND_IN).await.expect("a stand-in");
    let path =
        "SELECT format('ALTER DATABASE %I SET search_path = public, citus', current_database())";
    let path: String = sqlx::query_scalar(path)
        .fetch_one(&pool)
        .await
        .expect("a name");
    pool.execute(AssertSqlSafe(path)).await.expect("a path");
    let done = run(&[]);
    assert_eq!(done.code, Some(0), "{}", done.said);
    assert!(
        done.said.contains("laid out: merchants, adjustments, "),
        "{}",
        done.said
    );
    let again = run(&[]);
    assert!(
        again.said.contains("every table was laid out before"),
        "{}",
        again.said
    );
    // Where it was interrupted it goes on.
    let lost = "DELETE FROM citus.pg_dist_partition WHERE logicalrelid = 'strays'::regclass";
    pool.execute(lost).await.expect("forgotten");
    let rest = run(&[]);
    assert!(rest.said.ends_with("laid out: strays\n"), "{}", rest.said);
    let beside = "SELECT count(*) FROM citus.pg_dist_partition
                  WHERE by = 'merchant_id' AND beside = 'merchants'";
    let beside: i64 = sqlx::query_scalar(beside)
        .fetch_one(&pool)
        .await
        .expect("what lies where");
    assert_eq!(beside, 23);
}
