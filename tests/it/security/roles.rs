//! The roles of `schemas/roles.sql`: each can do all that it is for, and nothing else.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::task::block_in_place;

use super::watch::{Settings, Watch, setting};
use crate::harness::{TestBed, local_postgres, queries, services};

const PASSWORD: &str = "correct-role-staple";
const ROLES: [&str; 3] = ["holdback_migrator", "holdback_service", "holdback_reader"];

/// The bed's URL for a role.
fn url(bed: &TestBed, role: &str) -> String {
    let (_, place) = bed.database_url.rsplit_once('@').expect("a place");
    format!("postgres://{role}:{PASSWORD}@{place}")
}

async fn connect(bed: &TestBed, role: &str) -> PgConnection {
    let connected = PgConnection::connect(&url(bed, role)).await;
    connected.expect(role)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_can_do_what_it_is_for_and_nothing_else() {
    let (postgres, brokers) = block_in_place(|| {
        let postgres = local_postgres().expect("a local PostgreSQL");
        (postgres, services().brokers.clone())
    });
    let bed = TestBed::on("roles", brokers, postgres.url(), 2).await;
    let mut superuser = PgConnection::connect(&bed.database_url)
        .await
        .expect("PostgreSQL");
    let printed = block_in_place(|| {
        let watch = Watch::new(&bed, &[]);
        watch.works(&["migrate", "--print-roles"], &Settings::new())
    });
    // Twice, since it may be.
    for _ in 0..2 {
        let script = AssertSqlSafe(printed.clone());
        superuser.execute(script).await.expect("roles");
    }
    for role in ROLES {
        let password = format!("ALTER ROLE {role} PASSWORD '{PASSWORD}'");
        let set = superuser.execute(AssertSqlSafe(password)).await;
        set.expect("a password");
    }
    block_in_place(|| work(&bed));
    may_run_every_statement(&mut connect(&bed, "holdback_service").await, |_| true).await;
    let reads = |sql: &str| sql.starts_with("SELECT") && !sql.contains(" FOR ");
    may_run_every_statement(&mut connect(&bed, "holdback_reader").await, reads).await;
    nothing_else(&bed).await;
}

/// Every command under its role; one sale is held, released and published.
fn work(bed: &TestBed) {
    let watch = Watch::new(bed, &[PASSWORD]);
    let [migrator, service, reader] =
        ROLES.map(|role| vec![setting("DATABASE_URL", url(bed, role))]);
    for _ in 0..2 {
        watch.works(&["migrate"], &migrator);
    }
    watch.pays("M-1", &service);
    let by = ["--actor", "anna", "--reason", "looks odd"];
    let block = [
        "block",
        "--merchant",
        "M-1",
        "--order",
        "O-2",
        "--kind",
        "manual",
    ];
    for act in [
        &["pause", "--merchant", "M-1"][..],
        &["resume", "--merchant", "M-1"],
        &block,
    ] {
        watch.works(&[act, &by].concat(), &service);
    }
    // It locks the order while it looks.
    watch.works(&["explain", "--merchant", "M-1", "O-1"], &service);
    watch.works(&["check"], &service);
    for question in [
        &["audit"][..],
        &["balances", "--merchant", "M-1"],
        &["export", "--format", "csv"],
        &["forecast", "--merchant", "M-1"],
        &[
            "statement",
            "--merchant",
            "M-1",
            "--from",
            "2020-01-01",
            "--to",
            "2099-01-01",
        ],
        &["pauses"],
        &["proposals"],
        &["dead-letters", "list"],
        &["receivable", "list"],
        &["review", "list"],
    ] {
        watch.works(question, &reader);
    }
}

/// Postgres checks the rights of a statement when its plan is about to run: without running it, each
/// is planned as the role that the connection is.
async fn may_run_every_statement(connection: &mut PgConnection, picked: impl Fn(&str) -> bool) {
    let mut seen = 0;
    for (sql, parameters) in queries().into_iter().filter(|(sql, _)| picked(sql)) {
        // These have no plan.
        if sql.starts_with("LOCK") || sql.starts_with("SET") {
            let whole = format!("BEGIN; {sql}; ROLLBACK");
            let done = sqlx::raw_sql(AssertSqlSafe(whole)).execute(&mut *connection);
            done.await.unwrap_or_else(|error| panic!("{error}: {sql}"));
            continue;
        }
        let values = if parameters == 0 {
            String::new()
        } else {
            format!("({})", vec!["NULL"; parameters].join(", "))
        };
        for step in [
            format!("PREPARE statement AS {sql}"),
            format!("EXPLAIN EXECUTE statement{values}"),
            "DEALLOCATE statement".to_owned(),
        ] {
            // Without a prepared statement of sqlx's around it.
            let done = sqlx::raw_sql(AssertSqlSafe(step)).execute(&mut *connection);
            done.await.unwrap_or_else(|error| panic!("{error}: {sql}"));
        }
        seen += 1;
    }
    assert!(seen > 20, "only {seen} statements");
}

/// What each must be refused, for want of the right to it.
async fn nothing_else(bed: &TestBed) {
    let mut service = connect(bed, "holdback_service").await;
    let mut reader = connect(bed, "holdback_reader").await;
    for (table, column) in [
        ("journal", "amount"),
        ("operations", "actor"),
        ("agreements", "body"),
        ("calendars", "body"),
        ("adjustments", "amount"),
        ("controls", "held"),
        ("deposit_transactions", "amount"),
    ] {
        for change in [
            format!("UPDATE {table} SET {column} = {column}"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
            format!("ALTER TABLE {table} ADD COLUMN extra text"),
            format!("DROP TABLE {table}"),
        ] {
            refused(&mut service, &change).await;
            refused(&mut reader, &change).await;
        }
    }
    for change in [
        "CREATE TABLE mine (a int)",
        "CREATE TEMPORARY TABLE mine (a int)",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "SET ROLE holdback_migrator",
        "UPDATE _sqlx_migrations SET version = 0",
        "TRUNCATE holds",
    ] {
        refused(&mut service, change).await;
        refused(&mut reader, change).await;
    }
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
            .fetch_all(&mut reader)
            .await
            .expect("tables");
    for table in &tables {
        let read = format!("SELECT count(*) FROM {table}");
        let read = reader.execute(AssertSqlSafe(read)).await;
        read.unwrap_or_else(|error| panic!("{error}: has {table} a line in grants.sql?"));
        for change in ["INSERT INTO {} DEFAULT VALUES", "DELETE FROM {}"] {
            refused(&mut reader, &change.replace("{}", table)).await;
        }
    }
    assert!(tables.len() > 30, "only {tables:?}");
}

async fn refused(connection: &mut PgConnection, sql: &str) {
    let outcome = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await;
    let error = outcome.err().unwrap_or_else(|| panic!("allowed: {sql}"));
    let code = error.as_database_error().and_then(|error| error.code());
    assert_eq!(code.as_deref(), Some("42501"), "{error}: {sql}");
}
