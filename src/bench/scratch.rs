//! A database of the bench's own: made for one subject of one repeat, and dropped after it.
//!
//! Guarantees that no database is loaded or dropped but one that was made here.

use std::str::FromStr as _;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgPool};

use super::figures::Sizes;
use crate::config::Config;

/// How far the work of holdback is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Records of all input partitions that lie before the positions.
    pub applied: u64,
    /// Lines of the journal.
    pub lines: u64,
}

/// The database and connections to look at it.
#[derive(Debug)]
pub(super) struct Scratch {
    name: String,
    maintenance: PgConnectOptions,
    options: PgConnectOptions,
    pool: PgPool,
}

impl Scratch {
    /// Makes it beside the database that is configured, and settles what earlier runs left to write.
    pub(super) async fn make(config: &Config, name: &str) -> anyhow::Result<Self> {
        let maintenance = PgConnectOptions::from_str(config.database.url.expose_secret())?;
        let mut connection = maintenance
            .connect()
            .await
            .context("is Postgres running, and is database.url right?")?;
        let make = format!("CREATE DATABASE {name}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(make))
            .execute(&mut connection)
            .await
            .context("bench makes databases of its own: the user needs CREATEDB")?;
        // Only superusers may; without it the first subject pays for what was before.
        if let Err(error) = sqlx::raw_sql("CHECKPOINT").execute(&mut connection).await {
            tracing::debug!(%error, "no checkpoint before the run");
        }
        connection.close().await?;
        let options = maintenance.clone().database(name);
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .connect_with(options.clone())
            .await?;
        Ok(Self {
            name: name.to_owned(),
            maintenance,
            options,
            pool,
        })
    }

    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(super) fn url(&self) -> String {
        self.options.to_url_lossy().to_string()
    }

    /// How far ingest and all decisions are, in one look.
    pub(super) async fn progress(&self) -> anyhow::Result<Progress> {
        let (applied, lines): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT coalesce(sum(next_offset), 0)::bigint FROM positions),
                    (SELECT coalesce(sum(last_sequence), 0)::bigint FROM merchants)",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Progress {
            applied: u64::try_from(applied)?,
            lines: u64::try_from(lines)?,
        })
    }

    /// Bytes of WAL that the server has written so far.
    pub(super) async fn wal(&self) -> anyhow::Result<i64> {
        let sql = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
        Ok(sqlx::query_scalar(sql).fetch_one(&self.pool).await?)
    }

    /// Bytes of its tables and indexes.
    pub(super) async fn sizes(&self) -> anyhow::Result<Sizes> {
        let (tables, indexes): (i64, i64) = sqlx::query_as(
            "SELECT coalesce(sum(pg_table_size(oid)), 0)::bigint,
                    coalesce(sum(pg_indexes_size(oid)), 0)::bigint
             FROM pg_class WHERE relkind = 'r' AND relnamespace IN (
                 SELECT oid FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%'
                     AND nspname <> 'information_schema')",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Sizes { tables, indexes })
    }

    /// Rows that are dead and not yet cleared away.
    pub(super) async fn dead_rows(&self) -> anyhow::Result<i64> {
        let sql = "SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables";
        Ok(sqlx::query_scalar(sql).fetch_one(&self.pool).await?)
    }

    /// Drops it.
    pub(super) async fn remove(self) -> anyhow::Result<()> {
        self.pool.close().await;
        let mut connection = self.maintenance.connect().await?;
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        sqlx::raw_sql(sqlx::AssertSqlSafe(drop))
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(())
    }
}
