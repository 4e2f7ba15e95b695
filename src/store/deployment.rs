//! What the first start decided: from where the input is read, from when holds are released, and
//! whether another system pays them meanwhile.

use jiff::civil::Date;
use jiff_sqlx::ToSqlx;

use super::{Store, StoreError, Tx, failed};
use crate::rules::shadow::{self, Mode};
use crate::rules::time::Instant;

/// The deployment's one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    pub name: String,
    /// `earliest`, `latest` or an instant.
    pub ingest_start: String,
    pub release_not_before: Instant,
    /// A deployment that began as a shadow has a date to go live on, once it was set.
    pub mode: Mode,
}

/// What became of the wish to go live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoingLive {
    /// Settled from the wished date on.
    Set,
    /// The date must be later than this: so far shadows may have been decided.
    TooSoon(Date),
    /// It has been live since this date: it can't be put off any more.
    Begun(Date),
    /// It never was a shadow.
    Live,
}

fn mode(shadow: bool, live_from: Option<jiff_sqlx::Date>) -> Mode {
    if !shadow {
        return Mode::Live;
    }
    Mode::Shadow {
        live_from: live_from.map(jiff_sqlx::Date::to_jiff),
    }
}

impl Store {
    /// The deployment, if there was a first start.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deployment(&self) -> Result<Option<Deployment>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT name, ingest_start, release_not_before AS "release_not_before: Instant",
                      shadow, live_from AS "live_from: jiff_sqlx::Date"
               FROM deployment"#
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(failed("read the deployment"))?;
        Ok(row.map(|row| Deployment {
            name: row.name,
            ingest_start: row.ingest_start,
            release_not_before: row.release_not_before,
            mode: mode(row.shadow, row.live_from),
        }))
    }

    /// Who pays what is released; before the first start: holdback.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_mode(&self) -> Result<Mode, StoreError> {
        let deployment = self.deployment().await?;
        Ok(deployment.map_or(Mode::Live, |deployment| deployment.mode))
    }

    /// Lets a shadow go live on a settlement date on which nothing can have been decided yet, or puts
    /// that date off while it has not come.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn go_live(&self, from: Date) -> Result<GoingLive, StoreError> {
        let mut tx = self.begin().await?;
        // Waits for the releases under way, which hold this row too; so the time is read after it.
        let row = sqlx::query!(
            r#"SELECT live_from AS "live_from: jiff_sqlx::Date" FROM deployment WHERE shadow
               FOR UPDATE"#
        )
        .fetch_optional(&mut *tx.inner)
        .await
        .map_err(failed("lock the deployment"))?;
        let Some(row) = row else {
            tx.rollback().await?;
            return Ok(GoingLive::Live);
        };
        let latest = shadow::latest_date(self.now().await?);
        let before = row.live_from.map(jiff_sqlx::Date::to_jiff);
        if let Some(since) = before.filter(|since| *since <= latest) {
            tx.rollback().await?;
            return Ok(GoingLive::Begun(since));
        }
        if from <= latest {
            tx.rollback().await?;
            return Ok(GoingLive::TooSoon(latest));
        }
        sqlx::query!("UPDATE deployment SET live_from = $1", from.to_sqlx() as _)
            .execute(&mut *tx.inner)
            .await
            .map_err(failed("set the date of going live"))?;
        tx.commit().await?;
        Ok(GoingLive::Set)
    }

    /// Notes the first start; a second call changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn found_deployment(&self, deployment: &Deployment) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO deployment (name, ingest_start, release_not_before, shadow)
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            deployment.name,
            deployment.ingest_start,
            deployment.release_not_before as _,
            deployment.mode != Mode::Live,
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

    /// Brings the schema up to date, and the rights of the roles that there are.
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
            })?;
        sqlx::raw_sql(include_str!("../../schemas/grants.sql"))
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(failed("grant rights on its tables"))
    }
}

impl Tx {
    /// Who pays what this transaction releases: that stays so until it ends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_mode(&mut self) -> Result<Mode, StoreError> {
        let row = sqlx::query!(
            r#"SELECT live_from AS "live_from: jiff_sqlx::Date" FROM deployment WHERE shadow
               FOR SHARE"#
        )
        .fetch_optional(&mut *self.inner)
        .await
        .map_err(failed("read who pays releases"))?;
        Ok(row.map_or(Mode::Live, |row| mode(true, row.live_from)))
    }
}
