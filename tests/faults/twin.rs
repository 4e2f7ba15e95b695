//! A second deployment that was given the name and the topics of the first by mistake, with a database of
//! its own: it must publish nothing, and the first must go on once it is gone.

use std::path::PathBuf;
use std::process::Command;

use sqlx::{Connection, Executor, PgConnection, Row};

use crate::harness::Process;
use crate::harness::process::{holdback, run_to_end};
use crate::history::World;

/// The other deployment's process.
pub struct Twin(Process);

impl World<'_> {
    /// Starts one, unless nothing is published yet: then nobody could tell whose topics they are.
    pub fn start_a_twin(&mut self) -> Result<Option<Twin>, String> {
        let url = self.bed.database_url.clone();
        let Ok(mut connection) = self.runtime.block_on(PgConnection::connect(&url)) else {
            return Ok(None);
        };
        // Not of a table that another fault may have locked.
        let published = "SELECT coalesce(sum(next_offset), 0)::bigint FROM read_back";
        let row = self.runtime.block_on(connection.fetch_one(published));
        if row.map_or(0, |row| row.get::<i64, _>(0)) < 50 {
            return Ok(None);
        }
        let twin = format!("{url}_twin");
        let (_, name) = twin.rsplit_once('/').expect("a database");
        let create = format!("CREATE DATABASE \"{name}\"");
        let created = sqlx::query(sqlx::AssertSqlSafe(create)).execute(&mut connection);
        // It is there already when this happens again.
        drop(self.runtime.block_on(created));
        let mut own = vec![("HOLDBACK_DATABASE_URL", twin.as_str())];
        if let Some(bug) = self.bug {
            own.push(("PLANTED_BUG", bug));
        }
        let migrate: Command = holdback(self.bed, &["migrate"], &own);
        if run_to_end(migrate).code != Some(0) {
            return Ok(None);
        }
        let process = Process::start(self.bed, "ingest,release,publish,http", &own);
        Ok(Some(Twin(process)))
    }
}

impl Twin {
    /// Ends it; whether it has stopped itself with its alarm, or that it went to work; and its log.
    pub fn end(self) -> (Result<bool, String>, PathBuf) {
        let stopped = self.0.log().contains("\"alarm\":\"publisher_fault\"");
        let works = !self.0.logged("publishing").is_empty();
        let log = self.0.log_path().to_path_buf();
        self.0.kill();
        if works {
            let why = "a second deployment publishes to the topics of the first";
            return (Err(why.to_owned()), log);
        }
        (Ok(stopped), log)
    }
}
