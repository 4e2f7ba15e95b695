//! What reads well and only the database refuses: its batch is halved until it stands alone.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::harness::TestBed;

/// How the refunds begin that the database does not take.
pub const REFUSED: &str = "RF-refused-";

/// Lets the database refuse them, as it would a number that is too large for it.
pub async fn prepare(bed: &TestBed) {
    let sql = format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE SQLSTATE '22003'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON parked FOR EACH ROW
             WHEN (starts_with(NEW.fact_id, '{REFUSED}')) EXECUTE FUNCTION refuse()"
    );
    let mut connection = PgConnection::connect(&bed.database_url)
        .await
        .expect("the database");
    let done = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql)));
    done.await.expect("a trigger");
}
