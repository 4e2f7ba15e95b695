//! The database's clock, which decides everything, stands wrong for a while.
//!
//! What the program asks the time is a function in a schema that is searched first, and that adds what a
//! table says; so every process sees the step at once, as it would that of the machine.

use std::time::{Duration, Instant};

use rand::RngExt;
use rand::seq::IndexedRandom as _;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::faults::{Heal, Healing};
use crate::harness::TestBed;
use crate::history::World;

/// Seconds ahead: beyond what clocks may disagree, a day and more, and past every hold's release date.
const STEPS: [i64; 6] = [-90_000, -40, 40, 90_000, FAR, FAR];
const FAR: i64 = 2 * 365 * 86_400;
/// How soon it is tried again to set it right.
const AGAIN: Duration = Duration::from_millis(100);

/// Prepares a database, to which nobody is connected yet.
pub async fn prepare(bed: &TestBed) {
    let (_, name) = bed.database_url.rsplit_once('/').expect("a database");
    let sql = format!(
        "CREATE SCHEMA wrong;
         CREATE TABLE wrong.clock (seconds_ahead bigint NOT NULL);
         INSERT INTO wrong.clock VALUES (0);
         CREATE FUNCTION wrong.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
             'SELECT pg_catalog.clock_timestamp() + seconds_ahead * interval ''1 s'' FROM wrong.clock';
         ALTER DATABASE \"{name}\" SET search_path = wrong, pg_catalog, public"
    );
    let mut connection = PgConnection::connect(&bed.database_url)
        .await
        .expect("the database");
    let done = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql)));
    done.await.expect("a clock that can be set");
}

impl World<'_> {
    /// Sets the database's clock wrong, unless it is already, or nobody gets through to it now.
    pub fn set_the_clock_wrong(&mut self) {
        let wrong = |heal: &Heal| matches!(heal.what, Healing::Clock);
        if self.heals.iter().any(wrong) {
            return;
        }
        let ahead = *STEPS.choose(&mut self.random).expect("some");
        // Once in every history past every release date.
        let first = self.counters.of("clock: set") == 0;
        let ahead = if first { FAR } else { ahead };
        if !self.set_the_clock(ahead) {
            return;
        }
        let way = if ahead > 0 { "ahead" } else { "behind" };
        self.counters.add(&format!("clock: set {way}"), 1);
        let long = Duration::from_millis(self.random.random_range(3_000..9_000));
        let at = Instant::now() + long;
        self.heals.push(Heal {
            at,
            what: Healing::Clock,
        });
    }

    /// Sets it right, as soon as somebody gets through to it: while the server is away that is later,
    /// unless it must be now.
    pub fn set_the_clock_right(&mut self, now: bool) -> Result<(), String> {
        let until = Instant::now() + Duration::from_secs(60);
        while !self.set_the_clock(0) {
            if !now {
                let at = Instant::now() + AGAIN;
                let what = Healing::Clock;
                self.heals.push(Heal { at, what });
                return Ok(());
            }
            if Instant::now() > until {
                return Err("nobody gets through to the database's clock".to_owned());
            }
            std::thread::sleep(AGAIN);
        }
        Ok(())
    }

    fn set_the_clock(&self, ahead: i64) -> bool {
        let url = &self.bed.database_url;
        let set = async {
            let mut connection = PgConnection::connect(url).await?;
            let set = sqlx::query("UPDATE wrong.clock SET seconds_ahead = $1").bind(ahead);
            set.execute(&mut connection).await
        };
        self.runtime.block_on(set).is_ok()
    }
}
