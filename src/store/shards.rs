//! How the tables spread over the machines of a Citus cluster.
//!
//! Guarantees that a merchant's rows of all tables lie together: what one merchant needs is on one
//! machine. `tests/it/shards` holds keys and statements against it.

use std::fmt::Write as _;

use super::{Store, StoreError, failed};

/// Where the rows of a table lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Split by `merchant_id`, which leads each of the table's keys.
    ByMerchant,
    /// Whole on each machine, with the reason.
    Everywhere(&'static str),
    /// On the coordinator alone, with the reason.
    OnCoordinator(&'static str),
}

use Spread::{ByMerchant, Everywhere, OnCoordinator};

/// Every table, the one first that the others are laid beside.
pub const TABLES: &[(&str, Spread)] = &[
    ("merchants", ByMerchant),
    ("adjustments", ByMerchant),
    ("blocks", ByMerchant),
    ("credits", ByMerchant),
    ("deposit_transactions", ByMerchant),
    ("deposits", ByMerchant),
    ("disputes", ByMerchant),
    ("due", ByMerchant),
    ("holds", ByMerchant),
    ("imported", ByMerchant),
    ("journal", ByMerchant),
    ("orders", ByMerchant),
    ("parked", ByMerchant),
    ("paused_due", ByMerchant),
    ("payout_results", ByMerchant),
    ("payouts", ByMerchant),
    ("published_elsewhere", ByMerchant),
    ("receivables", ByMerchant),
    ("refunds", ByMerchant),
    ("review_due", ByMerchant),
    ("review_orders", ByMerchant),
    ("reviews", ByMerchant),
    ("settlements", ByMerchant),
    ("strays", ByMerchant),
    (
        "agreements",
        Everywhere("the platform's own rule every merchant's orders"),
    ),
    (
        "calendars",
        Everywhere("every merchant's dates follow them"),
    ),
    (
        "operations",
        Everywhere("few, some of no merchant, and read beside the journal"),
    ),
    (
        "pauses",
        Everywhere("few, some of no merchant, and read beside what is due"),
    ),
    ("_sqlx_migrations", OnCoordinator("the migrator's own")),
    (
        "buried_elsewhere",
        OnCoordinator("places in the dead letters' topic"),
    ),
    ("catalogue", OnCoordinator("one row, locked by every batch")),
    ("controls", OnCoordinator("days of all merchants together")),
    (
        "dead_letters",
        OnCoordinator("named by their place in the input; many name no merchant"),
    ),
    ("deployment", OnCoordinator("one row")),
    (
        "positions",
        OnCoordinator("a row per partition of the input, moved by every batch"),
    ),
    (
        "publisher",
        OnCoordinator("one row, renewed every few seconds"),
    ),
    (
        "read_back",
        OnCoordinator("a row per partition of the output"),
    ),
];

impl Spread {
    /// What lays the table out, if anything must be done.
    fn statement(self, table: &str) -> Option<String> {
        match self {
            ByMerchant => {
                let (first, _) = TABLES[0];
                let beside = if table == first { "none" } else { first };
                Some(format!(
                    "SELECT create_distributed_table('{table}', 'merchant_id', colocate_with => '{beside}');"
                ))
            }
            Everywhere(_) => Some(format!("SELECT create_reference_table('{table}');")),
            OnCoordinator(_) => None,
        }
    }
}

/// Everything that [`Store::distribute`] does to tables that are not laid out yet, as SQL.
#[must_use]
pub fn script() -> String {
    let mut script = String::new();
    for &(table, spread) in TABLES {
        let statement = spread.statement(table);
        let written = match (spread, statement) {
            (Everywhere(why), Some(sql)) => writeln!(script, "{sql} -- {why}"),
            (OnCoordinator(why), _) => writeln!(script, "-- {table}: on the coordinator; {why}"),
            (_, sql) => writeln!(script, "{}", sql.unwrap_or_default()),
        };
        written.expect("a string takes everything");
    }
    script
}

impl Store {
    /// Whether Citus is in this database.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_citus(&self) -> Result<bool, StoreError> {
        sqlx::query_scalar!(r#"SELECT to_regclass('pg_dist_partition') IS NOT NULL AS "there!""#)
            .fetch_one(&self.pool)
            .await
            .map_err(failed("look for Citus"))
    }

    /// Lays out the tables that Citus does not know yet, each for itself: a second call goes on
    /// where a first one ended. Returns which.
    ///
    /// # Errors
    /// When the database fails, or Citus refuses.
    pub async fn distribute(&self) -> Result<Vec<&'static str>, StoreError> {
        // Not a checked query: the table is Citus's own.
        let known: Vec<String> =
            sqlx::query_scalar("SELECT logicalrelid::regclass::text FROM pg_dist_partition")
                .fetch_all(&self.pool)
                .await
                .map_err(failed("list what Citus knows"))?;
        let mut laid = Vec::new();
        for &(table, spread) in TABLES {
            let Some(sql) = spread.statement(table) else {
                continue;
            };
            if known.iter().any(|known| known == table) {
                continue;
            }
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
                .execute(&self.pool)
                .await
                .map_err(failed("lay a table out"))?;
            laid.push(table);
        }
        Ok(laid)
    }
}
