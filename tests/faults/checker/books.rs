//! The tables: the journal against the topics and the holds, the accounts against the truth, and that
//! nothing waits that should not.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::Complaints;
use super::topics::Topics;
use super::truth::Truth;

/// A row of the table of holds; cents.
#[derive(Debug, Clone)]
pub struct HoldRow {
    pub merchant: String,
    pub order: String,
    pub term: String,
    pub original: i64,
    pub left: i64,
    pub consumed: i64,
    pub released: i64,
    pub reversed: i64,
    pub blocked: i64,
}

/// The deployment's database.
pub struct Books(PgConnection);

impl Books {
    pub async fn open(url: &str) -> Result<Self, String> {
        let connection = PgConnection::connect(url).await;
        connection.map(Self).map_err(|error| error.to_string())
    }

    async fn rows(&mut self, sql: &str) -> Result<Vec<sqlx::postgres::PgRow>, String> {
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned()));
        let rows = rows.fetch_all(&mut self.0).await;
        rows.map_err(|error| format!("{sql}: {error}"))
    }

    pub async fn holds(&mut self) -> Result<BTreeMap<String, HoldRow>, String> {
        let cents = "(left_now * 100)::bigint, (consumed * 100)::bigint, (released * 100)::bigint,
                     (reversed * 100)::bigint, (blocked * 100)::bigint, (original * 100)::bigint";
        let sql = format!("SELECT hold_id::text, merchant_id, order_id, term, {cents} FROM holds");
        let rows = self.rows(&sql).await?;
        let read = |row: &sqlx::postgres::PgRow| HoldRow {
            merchant: row.get(1),
            order: row.get(2),
            term: row.get(3),
            left: row.get(4),
            consumed: row.get(5),
            released: row.get(6),
            reversed: row.get(7),
            blocked: row.get(8),
            original: row.get(9),
        };
        Ok(rows.iter().map(|row| (row.get(0), read(row))).collect())
    }

    /// Topics and journal hold the same events, and the journal's sums are the holds'.
    pub async fn journal(
        &mut self,
        topics: &Topics,
        complaints: &mut Complaints,
    ) -> Result<(), String> {
        let rows = self
            .rows("SELECT merchant_id, sequence, previous, event_id::text FROM journal")
            .await?;
        let journal: BTreeSet<(String, i64, i64, String)> = rows
            .iter()
            .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
            .collect();
        let events = topics.events.iter();
        let topics: BTreeSet<(String, i64, i64, String)> = events
            .map(|it| (it.merchant.clone(), it.sequence, it.previous, it.id.clone()))
            .collect();
        for lost in journal.difference(&topics) {
            complaints.add("topic = journal", &format!("never published: {lost:?}"));
        }
        for foreign in topics.difference(&journal) {
            complaints.add(
                "topic = journal",
                &format!("not in the journal: {foreign:?}"),
            );
        }
        // Account 2 is what is held.
        let wrong = self
            .rows(
                "SELECT h.merchant_id, h.order_id, h.left_now::text, j.held::text
                 FROM holds h LEFT JOIN (
                     SELECT hold_id, sum(CASE WHEN credit = 2 THEN amount ELSE 0 END
                                         - CASE WHEN debit = 2 THEN amount ELSE 0 END) AS held
                     FROM journal WHERE amount IS NOT NULL GROUP BY hold_id) j USING (hold_id)
                 WHERE j.held IS DISTINCT FROM h.left_now",
            )
            .await?;
        for row in wrong {
            let (merchant, order): (String, String) = (row.get(0), row.get(1));
            let sums: (Option<String>, Option<String>) = (row.get(2), row.get(3));
            let what = format!("{merchant} {order}: left and journal {sums:?}");
            complaints.add("conservation", &what);
        }
        Ok(())
    }

    /// Per merchant held + payable + paid + deposit − receivable, which no order of arrival changes.
    pub async fn accounts(
        &mut self,
        truth: &Truth,
        complaints: &mut Complaints,
    ) -> Result<(), String> {
        let mut net: BTreeMap<String, i64> = BTreeMap::new();
        for ((merchant, _), order) in &truth.orders {
            let whole = if order.cancelled {
                // What is charged beyond an order that no longer exists is still owed.
                -(order.charged() - order.amount).max(0)
            } else {
                order.amount - order.charged()
            };
            *net.entry(merchant.clone()).or_default() += whole;
        }
        let rows = self
            .rows(
                "SELECT merchant_id, (sum(moved) * 100)::bigint FROM (
                     SELECT merchant_id, amount AS moved FROM journal WHERE credit IN (2, 3, 5, 6, 7)
                     UNION ALL
                     SELECT merchant_id, -amount FROM journal WHERE debit IN (2, 3, 5, 6, 7)) moves
                 GROUP BY merchant_id",
            )
            .await?;
        let mut found: BTreeMap<String, i64> =
            rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        for (merchant, due) in net {
            let has = found.remove(&merchant).unwrap_or_default();
            complaints.unless(has == due, "net position", || {
                format!("{merchant} has {has}, due {due}")
            });
        }
        complaints.unless(found.is_empty(), "net position", || {
            format!("nobody's: {found:?}")
        });
        Ok(())
    }

    /// Every release is where its last answer says, and so is its money: account 7 is what is paid.
    pub async fn payouts(
        &mut self,
        truth: &Truth,
        complaints: &mut Complaints,
    ) -> Result<(), String> {
        let rows = self
            .rows(
                "SELECT p.release_id::text, p.state::bigint, p.attempt::bigint,
                        (p.amount * 100)::bigint, coalesce(j.paid * 100, 0)::bigint
                 FROM payouts p LEFT JOIN (
                     SELECT data::json->>'release_id' AS release_id, sum(CASE WHEN credit = 7
                         THEN amount ELSE 0 END - CASE WHEN debit = 7 THEN amount ELSE 0 END) AS paid
                     FROM journal WHERE 7 IN (credit, debit) GROUP BY 1) j
                   ON j.release_id = p.release_id::text",
            )
            .await?;
        for row in rows {
            let id: String = row.get(0);
            let last = truth.payouts.get(&id).and_then(|answers| answers.last());
            // Issued, paid or failed; and nobody has it paid again here.
            let amount: i64 = row.get(3);
            let due = match last {
                None => (1, 1, 0),
                Some((_, true)) => (2, 1, amount),
                Some((_, false)) => (3, 1, 0),
            };
            let found: (i64, i64, i64) = (row.get(1), row.get(2), row.get(4));
            complaints.unless(found == due, "payouts", || {
                format!("release {id}: state, attempt, paid {found:?}, due {due:?}")
            });
        }
        Ok(())
    }

    /// Only what has to wait waits, no partition is halted, nobody complains.
    pub async fn nothing_else(
        &mut self,
        truth: &Truth,
        complaints: &mut Complaints,
    ) -> Result<(), String> {
        let rows = self.rows("SELECT fact_id FROM parked").await?;
        let parked: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
        let orphans: BTreeSet<String> = truth.orphans.iter().cloned().collect();
        complaints.unless(parked == orphans, "state", || {
            let wrong: Vec<_> = parked.symmetric_difference(&orphans).take(3).collect();
            format!("waiting, or missing among what waits: {wrong:?}")
        });
        let said = self
            .rows(
                "SELECT 'halted: ' || halted FROM positions WHERE halted IS NOT NULL
                 UNION ALL SELECT 'fault: ' || fault FROM publisher WHERE fault IS NOT NULL",
            )
            .await?;
        for row in said {
            complaints.add("needless alarm", row.get(0));
        }
        Ok(())
    }
}
