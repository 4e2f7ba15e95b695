//! Where each input partition has been applied to, and how fresh that is.
//!
//! The position moves in the transaction of its effects, and only from where the reader believes
//! it to be: whoever finds it elsewhere has lost the partition and leaves.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use super::types::{column, unreadable};
use super::{Store, StoreError, Tx, failed};
use crate::clock;
use crate::planted::{Bug, is_planted};
use crate::rules::time::Instant;

/// A partition of an input topic, by the topic's actual name.
pub type Partition = (String, i32);

/// One partition's position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// `None`: never assigned.
    pub next_offset: Option<i64>,
    /// The last applied record and its digest.
    pub last: Option<(i64, Vec<u8>)>,
    pub fresh_at: Option<Instant>,
    pub halted: Option<String>,
}

/// A step forward of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    pub topic: String,
    pub partition: i32,
    pub expected: i64,
    pub next: i64,
    pub last_offset: i64,
    pub last_digest: Vec<u8>,
}

impl Tx {
    /// Moves positions, all or none; answers how many dead letters in a row led up to each.
    ///
    /// # Errors
    /// [`StoreError::LostPartition`] when one of them is not where it was believed to be.
    pub async fn advance(
        &mut self,
        steps: &[Advance],
    ) -> Result<BTreeMap<(Arc<str>, i32), u32>, StoreError> {
        let moved = sqlx::query!(
            "WITH steps AS MATERIALIZED (
                 SELECT u.*, p.ctid AS place
                 FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[],
                     $6::bytea[]) AS u (topic, partition, expected, next, last_offset, last_digest)
                 JOIN positions p ON p.topic = u.topic AND p.partition = u.partition
                 ORDER BY p.topic, p.partition FOR UPDATE OF p)
             UPDATE positions p SET next_offset = s.next, last_offset = s.last_offset,
                 last_digest = s.last_digest
             FROM steps s
             WHERE p.topic = s.topic AND p.partition = s.partition
               AND p.next_offset = s.expected AND p.halted IS NULL
             RETURNING p.topic, p.partition, p.bad_in_a_row",
            column(steps, |s| s.topic.clone()) as _,
            column(steps, |s| s.partition) as _,
            column(steps, |s| s.expected) as _,
            column(steps, |s| s.next) as _,
            column(steps, |s| s.last_offset) as _,
            column(steps, |s| s.last_digest.clone()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("move positions"))?;
        if moved.len() != steps.len() {
            return Err(StoreError::LostPartition);
        }
        let rows = moved.into_iter().map(|row| {
            let bad = u32::try_from(row.bad_in_a_row).map_err(|error| unreadable(&error))?;
            Ok(((Arc::from(row.topic), row.partition), bad))
        });
        rows.collect()
    }

    /// Keeps how many dead letters in a row lead up to these positions.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_bad(
        &mut self,
        rows: &BTreeMap<(Arc<str>, i32), u32>,
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = rows.iter().collect();
        sqlx::query!(
            "UPDATE positions p SET bad_in_a_row = k.bad
             FROM unnest($1::text[], $2::integer[], $3::integer[]) AS k (topic, partition, bad)
             WHERE p.topic = k.topic AND p.partition = k.partition",
            column(&rows, |((topic, _), _)| topic.to_string()) as _,
            column(&rows, |((_, partition), _)| *partition) as _,
            column(&rows, |(_, bad)| i32::try_from(**bad).unwrap_or(i32::MAX)) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("count bad messages"))?;
        Ok(())
    }

    /// The gate's moment: the least `fresh_at` of these topics' partitions, and who holds it back.
    /// `None` when a topic has no partition yet or one was never fresh.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gate(&mut self, topics: &[String]) -> Result<Gate, StoreError> {
        let gate = gate_of(&mut *self.inner, topics, true, self.now).await?;
        Ok(gate.under(self.apart))
    }
}

/// The freshness gate as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Everything that lay in the input at this moment has been applied.
    pub moment: Option<Instant>,
    /// The partition that holds the gate back most, and why if it was halted.
    pub behind: Option<String>,
}

impl Gate {
    /// Closed where the database's clock and this process's disagree by this much.
    fn under(self, apart: Duration) -> Self {
        match clock::disagreement("this process and the database", apart) {
            Some(_) if is_planted(Bug::TrustClocks) => self,
            None => self,
            behind => Self {
                moment: None,
                behind,
            },
        }
    }
}

/// The latest moment that may have been noted by `now`, up to what passes between two statements. A later
/// one was noted by a clock that was ahead and has been set right since: nobody knows when that was.
fn latest(now: Instant) -> Instant {
    Instant::new(now.timestamp() + SignedDuration::from_secs(1))
}

async fn gate_of<'e>(
    executor: impl sqlx::PgExecutor<'e>,
    topics: &[String],
    with_outputs: bool,
    now: Instant,
) -> Result<Gate, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT t.topic AS "topic!", p.partition AS "partition?", p.halted AS "halted?",
                  p.fresh_at AS "fresh_at?: Instant"
           FROM unnest($1::text[]) AS t (topic)
           LEFT JOIN positions p ON p.topic = t.topic
           UNION ALL
           SELECT 'the output topics', NULL, fault, NULL FROM publisher WHERE $2 AND fault IS NOT NULL
           UNION ALL
           SELECT 'the broker', NULL, clocks, NULL FROM publisher WHERE $2 AND clocks IS NOT NULL
           UNION ALL
           SELECT 'the output topics', NULL, 'not compared with the database since that was started',
               NULL FROM publisher WHERE $2 AND compared_on <> server_identity()
           UNION ALL
           SELECT 'the output topics', NULL, format('%s events of theirs are still to be decided again, see `holdback reconcile`', count(*)),
               NULL FROM published_elsewhere WHERE $2 AND NOT taken HAVING count(*) > 0"#,
        topics as _,
        with_outputs,
    )
    .fetch_all(executor)
    .await
    .map_err(failed("read the freshness gate"))?;
    let worst = rows
        .into_iter()
        .map(|mut row| {
            row.fresh_at = row.fresh_at.filter(|at| *at <= latest(now));
            row
        })
        .min_by_key(|row| (row.halted.is_none(), row.fresh_at));
    Ok(worst.map_or(
        Gate {
            moment: None,
            behind: None,
        },
        |row| {
            let place = match (row.partition, &row.halted) {
                (Some(partition), _) => format!("{}/{partition}", row.topic),
                (None, Some(_)) => row.topic,
                (None, None) => format!("{} (no partition known)", row.topic),
            };
            let moment = row.fresh_at.filter(|_| row.halted.is_none());
            Gate {
                moment,
                behind: Some(match row.halted {
                    Some(why) => format!("{place} (halted: {why})"),
                    None => place,
                }),
            }
        },
    ))
}

impl Store {
    /// The gate outside of a release step, for readiness and *explain*.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gate(&self, topics: &[String]) -> Result<Gate, StoreError> {
        let apart = self.clocks_apart().await?;
        let now = self.now().await?;
        let gate = gate_of(&self.pool, topics, true, now).await?;
        Ok(gate.under(apart))
    }

    /// How far the input of these topics is applied, whatever stands in the output topics.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn applied_until(&self, topics: &[String]) -> Result<Option<Instant>, StoreError> {
        let now = self.now().await?;
        let gate = gate_of(&self.pool, topics, false, now).await?;
        Ok(gate.moment)
    }

    /// Makes known which partitions the input topics have.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_partitions(&self, partitions: &[Partition]) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO positions (topic, partition)
             SELECT * FROM unnest($1::text[], $2::integer[]) ON CONFLICT DO NOTHING",
            column(partitions, |(topic, _)| topic.clone()) as _,
            column(partitions, |(_, partition)| *partition) as _,
        )
        .execute(&self.pool)
        .await
        .map_err(failed("note partitions"))?;
        Ok(())
    }

    /// The positions of these partitions.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn positions(
        &self,
        partitions: &[Partition],
    ) -> Result<HashMap<Partition, Position>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT p.topic, p.partition, p.next_offset, p.last_offset, p.last_digest,
                      p.fresh_at AS "fresh_at: Instant", p.halted
               FROM positions p JOIN unnest($1::text[], $2::integer[]) AS k (topic, partition)
                 ON p.topic = k.topic AND p.partition = k.partition"#,
            column(partitions, |(topic, _)| topic.clone()) as _,
            column(partitions, |(_, partition)| *partition) as _,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read positions"))?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let position = Position {
                    next_offset: row.next_offset,
                    last: row.last_offset.zip(row.last_digest),
                    fresh_at: row.fresh_at,
                    halted: row.halted,
                };
                ((row.topic, row.partition), position)
            })
            .collect())
    }

    /// Where the partitions that are not halted are read on, as far as they were read at all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_offsets(&self) -> Result<Vec<(Partition, i64)>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT topic, partition, next_offset AS "next_offset!" FROM positions
               WHERE next_offset IS NOT NULL AND halted IS NULL"#
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read positions"))?;
        Ok(rows
            .into_iter()
            .map(|row| ((row.topic, row.partition), row.next_offset))
            .collect())
    }

    /// Every position, for `check` and metrics.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all_positions(&self) -> Result<Vec<(Partition, Position)>, StoreError> {
        let keys = sqlx::query!("SELECT topic, partition FROM positions ORDER BY topic, partition")
            .fetch_all(&self.pool)
            .await
            .map_err(failed("read positions"))?;
        let keys: Vec<Partition> = keys
            .into_iter()
            .map(|row| (row.topic, row.partition))
            .collect();
        let mut positions = self.positions(&keys).await?;
        Ok(keys
            .into_iter()
            .filter_map(|key| positions.remove(&key).map(|position| (key, position)))
            .collect())
    }

    /// Where a partition is read from for the first time. Whoever is first decides.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_positions(&self, starts: &[(Partition, i64)]) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE positions p SET next_offset = k.start
             FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS k (topic, partition, start)
             WHERE p.topic = k.topic AND p.partition = k.partition AND p.next_offset IS NULL",
            column(starts, |((topic, _), _)| topic.clone()) as _,
            column(starts, |((_, partition), _)| *partition) as _,
            column(starts, |(_, start)| *start) as _,
        )
        .execute(&self.pool)
        .await
        .map_err(failed("begin positions"))?;
        Ok(())
    }

    /// Everything that lay in these partitions at `fresh_at` has been applied; `next` is where
    /// each stood then, so a reader that has lost its partition says nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_fresh(
        &self,
        partitions: &[(Partition, i64)],
        fresh_at: Instant,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE positions p SET fresh_at = $4
             FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS k (topic, partition, next)
             WHERE p.topic = k.topic AND p.partition = k.partition AND p.next_offset = k.next
               AND p.halted IS NULL AND (p.fresh_at IS NULL OR p.fresh_at < $4)",
            column(partitions, |((topic, _), _)| topic.clone()) as _,
            column(partitions, |((_, partition), _)| *partition) as _,
            column(partitions, |(_, next)| *next) as _,
            fresh_at as _,
        )
        .execute(&self.pool)
        .await
        .map_err(failed("note freshness"))?;
        Ok(())
    }

    /// Forgets the moments that a clock has noted which was ahead: when they come, nobody must take
    /// them for true.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_moments_ahead(&self, now: Instant) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE positions SET fresh_at = NULL WHERE fresh_at > $1",
            latest(now) as _,
        )
        .execute(&self.pool)
        .await
        .map_err(failed("forget moments ahead"))?;
        Ok(())
    }

    /// Stops a partition until a person has looked at it; then its bad messages are counted anew.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn halt(&self, partition: &Partition, why: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE positions SET halted = $3, bad_in_a_row = 0
             WHERE topic = $1 AND partition = $2 AND halted IS NULL",
            partition.0,
            partition.1,
            why,
        )
        .execute(&self.pool)
        .await
        .map_err(failed("halt a partition"))?;
        Ok(())
    }
}
