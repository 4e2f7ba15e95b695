//! What the first start decided: from where the input is read, and from when holds are released.

use super::{Store, StoreError, failed};
use crate::rules::time::Instant;

/// The deployment's one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    pub name: String,
    /// `earliest`, `latest` or an instant.
    pub ingest_start: String,
    pub release_not_before: Instant,
}

impl Store {
    /// The deployment, if there was a first start.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deployment(&self) -> Result<Option<Deployment>, StoreError> {
        sqlx::query_as!(
            Deployment,
            r#"SELECT name, ingest_start, release_not_before AS "release_not_before: Instant"
               FROM deployment"#
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(failed("read the deployment"))
    }

    /// Notes the first start; a second call changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn found_deployment(&self, deployment: &Deployment) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO deployment (name, ingest_start, release_not_before)
             VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            deployment.name,
            deployment.ingest_start,
            deployment.release_not_before as _,
        )
        .execute(&self.pool)
        .await
        .map_err(failed("note the first start"))?;
        Ok(())
    }

    /// How many steps of the schema this program knows, and how many the database has taken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn schema_version(&self) -> Result<(i64, Option<i64>), StoreError> {
        let newest = super::MIGRATOR
            .iter()
            .map(|step| step.version)
            .max()
            .unwrap_or_default();
        let exists = sqlx::query_scalar!(
            r#"SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS "exists!""#
        )
        .fetch_one(&self.pool)
        .await
        .map_err(failed("look for the schema"))?;
        if !exists {
            return Ok((newest, None));
        }
        // Not a checked query: the table is the migrator's own, not in the schema's steps.
        let taken: Option<i64> =
            sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
                .fetch_one(&self.pool)
                .await
                .map_err(failed("read the schema's version"))?;
        Ok((newest, taken))
    }

    /// The server's durability settings that are off.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unsafe_settings(&self) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar!(
            r#"SELECT name AS "name!" FROM pg_settings
               WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')
                 AND setting = 'off' ORDER BY name"#
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("tell its settings"))
    }

    /// The server's version and the settings that decide how durable and how fast it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn describe(&self) -> Result<String, StoreError> {
        sqlx::query_scalar!(
            r#"SELECT 'PostgreSQL ' || current_setting('server_version')
                   || ', fsync ' || current_setting('fsync')
                   || ', synchronous_commit ' || current_setting('synchronous_commit')
                   || ', shared_buffers ' || current_setting('shared_buffers')
                   || ', max_wal_size ' || current_setting('max_wal_size') AS "text!""#
        )
        .fetch_one(&self.pool)
        .await
        .map_err(failed("tell its settings"))
    }

    /// How many bytes of WAL the server has written so far.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn wal_position(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar!(
            r#"SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS "bytes!""#
        )
        .fetch_one(&self.pool)
        .await
        .map_err(failed("tell its WAL position"))
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Fatal`] when a step fails.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        super::MIGRATOR
            .run(&self.pool)
            .await
            .map_err(|error| StoreError::Fatal {
                what: "bring its schema up to date",
                source: sqlx::Error::from(error),
            })
    }
}
