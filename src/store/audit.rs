//! The proof that the books are right: the journal's sums against the rows that they stand for.

use super::{Store, StoreError, failed};

/// One thing that does not agree.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// What was compared.
    pub check: String,
    pub merchant_id: String,
    pub currency: Option<String>,
    /// What the journal says.
    pub journal: String,
    /// What the tables say.
    pub tables: String,
}

/// What an audit looked at and found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Audit {
    pub merchants: i64,
    pub holds: i64,
    pub journal_lines: i64,
    pub unpublished: i64,
    pub differences: Vec<Difference>,
}

impl Store {
    /// Compares the journal with the holds, receivables, deposits, payouts and summed up days, in one
    /// snapshot. At most
    /// 1,000 differences are listed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audit(&self) -> Result<Audit, StoreError> {
        let mut tx = self.pool.begin().await.map_err(failed("begin"))?;
        sqlx::query!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .execute(&mut *tx)
            .await
            .map_err(failed("take a snapshot"))?;
        sqlx::query!("SET LOCAL statement_timeout = 0")
            .execute(&mut *tx)
            .await
            .map_err(failed("take a snapshot"))?;
        let counts = sqlx::query!(
            r#"SELECT (SELECT count(*) FROM merchants) AS "merchants!",
                      (SELECT count(*) FROM holds) AS "holds!",
                      (SELECT count(*) FROM journal) AS "lines!",
                      (SELECT coalesce(sum(last_sequence - published_sequence), 0)::bigint
                       FROM merchants) AS "unpublished!""#
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(failed("count"))?;
        let differences = sqlx::query_file_as!(Difference, "src/store/audit.sql")
            .fetch_all(&mut *tx)
            .await
            .map_err(failed("compare the journal with the tables"))?;
        tx.rollback().await.map_err(failed("end the snapshot"))?;
        Ok(Audit {
            merchants: counts.merchants,
            holds: counts.holds,
            journal_lines: counts.lines,
            unpublished: counts.unpublished,
            differences,
        })
    }
}
