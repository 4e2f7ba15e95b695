//! Copies of a test's database, and putting one in its place: what a backup and its restore are.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::TestBed;

/// Copies the database, in which nobody works; the URL of the copy.
pub async fn back_up(bed: &TestBed) -> String {
    let (server, database) = bed.database_url.rsplit_once('/').expect("a database");
    let copy = format!("{database}_copy");
    let mut connection = PgConnection::connect(&format!("{server}/postgres"))
        .await
        .expect("the server");
    // Idle connections of pools count as users.
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
        .bind(database)
        .execute(&mut connection)
        .await
        .expect("ended");
    let copying = format!("CREATE DATABASE \"{copy}\" TEMPLATE \"{database}\"");
    connection
        .execute(sqlx::query(AssertSqlSafe(copying)))
        .await
        .expect("a copy");
    format!("{server}/{copy}")
}

/// Puts the copy in the place of the database.
pub async fn restore(bed: &TestBed, copy: &str) {
    let (server, database) = bed.database_url.rsplit_once('/').expect("a database");
    let (_, copy) = copy.rsplit_once('/').expect("a copy");
    let mut connection = PgConnection::connect(&format!("{server}/postgres"))
        .await
        .expect("the server");
    for statement in [
        format!("DROP DATABASE \"{database}\" WITH (FORCE)"),
        format!("ALTER DATABASE \"{copy}\" RENAME TO \"{database}\""),
    ] {
        let done = connection.execute(sqlx::query(AssertSqlSafe(statement)));
        done.await.expect("another database");
    }
}
