//! The journal: every event and every movement, numbered per merchant without gaps.
//!
//! The numbers are given under the merchant's row, taken last in the transaction: a transaction
//! that fails gives none, and two that meet on a merchant write one after the other.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::cases::Source;
use super::types::column;
use super::{StoreError, Tx, failed};
use crate::message::outgoing::{self, EventType, OutTopic};
use crate::planted::{Bug, is_planted};
use crate::rules::entry::{Entry, Transfer};
use crate::rules::ids::MerchantId;

/// An entry on its way into the journal.
#[derive(Debug)]
pub struct Line {
    pub entry: Entry,
    pub source: Option<Source>,
    /// The person's act that caused it, if one did.
    pub operation: Option<Uuid>,
}

/// The lines of one transaction, per merchant in the order in which they were decided.
#[derive(Debug, Default)]
pub struct Lines(BTreeMap<MerchantId, Vec<Line>>);

/// Numbers given to a merchant's lines: from `first` on, and what came before in each topic.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    pub first: i64,
    releases_before: i64,
    events_before: i64,
}

impl Lines {
    /// Adds what one fact or release caused.
    pub fn add(
        &mut self,
        merchant: &MerchantId,
        entries: impl IntoIterator<Item = Entry>,
        source: Option<Source>,
    ) {
        self.push(merchant, entries, source, None);
    }

    /// Adds what a person's act caused.
    pub fn add_by(
        &mut self,
        merchant: &MerchantId,
        entries: impl IntoIterator<Item = Entry>,
        operation: Uuid,
    ) {
        self.push(merchant, entries, None, Some(operation));
    }

    fn push(
        &mut self,
        merchant: &MerchantId,
        entries: impl IntoIterator<Item = Entry>,
        source: Option<Source>,
        operation: Option<Uuid>,
    ) {
        let mut entries = entries.into_iter().peekable();
        if entries.peek().is_none() {
            return;
        }
        self.0
            .entry(merchant.clone())
            .or_default()
            .extend(entries.map(|entry| Line {
                entry,
                source,
                operation,
            }));
    }

    /// Makes all of them what one person's act caused.
    pub fn are_by(&mut self, operation: Uuid) {
        for line in self.0.values_mut().flatten() {
            line.operation = Some(operation);
        }
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// True when nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The merchants with their lines.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&MerchantId, &mut Vec<Line>)> {
        self.0.iter_mut()
    }
}

impl Tx {
    /// Numbers the lines and writes them, if there are any.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn write(&mut self, lines: &Lines) -> Result<(), StoreError> {
        if lines.is_empty() {
            return Ok(());
        }
        let numbers = self.number_lines(lines).await?;
        self.append(lines, &numbers).await
    }

    /// Locks the merchants and gives numbers to their lines.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn number_lines(
        &mut self,
        lines: &Lines,
    ) -> Result<HashMap<MerchantId, Numbers>, StoreError> {
        let counts: Vec<Count<'_>> = lines.0.iter().map(Count::of).collect();
        let rows = sqlx::query!(
            r#"INSERT INTO merchants AS m
                   (merchant_id, last_sequence, last_release_sequence, last_event_sequence)
               SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
               ON CONFLICT (merchant_id) DO UPDATE SET
                   last_sequence = m.last_sequence + excluded.last_sequence,
                   prior_release_sequence = m.last_release_sequence,
                   prior_event_sequence = m.last_event_sequence,
                   last_release_sequence = CASE WHEN excluded.last_release_sequence = 0
                       THEN m.last_release_sequence
                       ELSE m.last_sequence + excluded.last_release_sequence END,
                   last_event_sequence = CASE WHEN excluded.last_event_sequence = 0
                       THEN m.last_event_sequence
                       ELSE m.last_sequence + excluded.last_event_sequence END
               RETURNING merchant_id, last_sequence, prior_release_sequence,
                         prior_event_sequence"#,
            column(&counts, |c| c.merchant.as_str().to_owned()) as _,
            column(&counts, |c| c.lines) as _,
            column(&counts, |c| c.last_release) as _,
            column(&counts, |c| c.last_event) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("number journal lines"))?;
        let mut numbers = HashMap::with_capacity(rows.len());
        for row in rows {
            let merchant = super::types::merchant_id(&row.merchant_id)?;
            let count = counts
                .binary_search_by(|count| count.merchant.cmp(&merchant))
                .map(|at| counts[at].lines)
                .map_err(|_| StoreError::Unreadable(format!("merchant {merchant} unasked for")))?;
            numbers.insert(
                merchant,
                Numbers {
                    first: row.last_sequence - count + 1,
                    releases_before: row.prior_release_sequence,
                    events_before: row.prior_event_sequence,
                },
            );
        }
        Ok(numbers)
    }

    /// Writes the lines under the numbers given to them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn append(
        &mut self,
        lines: &Lines,
        numbers: &HashMap<MerchantId, Numbers>,
    ) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(lines.len());
        for (merchant, lines) in &lines.0 {
            let given = numbers
                .get(merchant)
                .ok_or_else(|| StoreError::Unreadable(format!("merchant {merchant} unnumbered")))?;
            let mut last = [given.releases_before, given.events_before];
            for (sequence, line) in (given.first..).zip(lines) {
                let kind = EventType::of(&line.entry.event);
                let topic = match kind.topic() {
                    OutTopic::Releases => 0,
                    OutTopic::Events => 1,
                };
                rows.push(Row {
                    merchant,
                    sequence,
                    previous: std::mem::replace(&mut last[topic], sequence),
                    kind,
                    line,
                });
            }
        }
        self.insert_rows(&rows).await
    }

    async fn insert_rows(&mut self, rows: &[Row<'_>]) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO journal (merchant_id, sequence, previous, event, event_id, occurred_at,
                 order_id, hold_id, currency, debit, credit, amount, subject, data,
                 source_topic, source_partition, source_offset, traceparent, operation_id)
             SELECT merchant_id, sequence, previous, event, event_id, $18, order_id, hold_id,
                 currency, debit, credit, amount, subject, data, source_topic, source_partition,
                 source_offset, traceparent, operation_id
             FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::smallint[], $5::uuid[],
                 $6::text[], $7::uuid[], $8::text[], $9::smallint[], $10::smallint[],
                 $11::numeric[], $12::text[], $13::text[], $14::smallint[], $15::integer[],
                 $16::bigint[], $17::text[], $19::uuid[])
               AS u (merchant_id, sequence, previous, event, event_id, order_id, hold_id, currency,
                 debit, credit, amount, subject, data, source_topic, source_partition,
                 source_offset, traceparent, operation_id)",
            column(rows, |r| r.merchant.as_str().to_owned()) as _,
            column(rows, |r| r.sequence) as _,
            column(rows, |r| r.previous) as _,
            column(rows, |r| r.kind.number()) as _,
            column(rows, |r| r.line.entry.event_id(r.merchant).0) as _,
            column(rows, |r| r
                .line
                .entry
                .order
                .as_ref()
                .map(|o| o.as_str().to_owned())) as _,
            column(rows, |r| r.line.entry.hold.map(|hold| hold.0)) as _,
            column(rows, |r| r.line.entry.currency.map(|c| c.code().to_owned())) as _,
            column(rows, |r| r.transfer().map(|t| t.debit.number())) as _,
            column(rows, |r| r.transfer().map(|t| t.credit.number())) as _,
            column(rows, |r| r.transfer().map(|t| t.amount.decimal())) as _,
            column(rows, Row::subject) as _,
            column(rows, |r| outgoing::data(&r.line.entry.event)) as _,
            column(rows, |r| r.line.source.map(|s| s.topic.number())) as _,
            column(rows, |r| r.line.source.map(|s| s.partition)) as _,
            column(rows, |r| r.line.source.map(|s| s.offset)) as _,
            column(rows, |r| r.line.entry.traceparent.clone()) as _,
            self.now as _,
            column(rows, |r| r.line.operation) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("append to the journal"))?;
        Ok(())
    }
}

/// One merchant's lines, counted.
struct Count<'a> {
    merchant: &'a MerchantId,
    lines: i64,
    /// Position, from 1, of the last line for each topic; 0 for none.
    last_release: i64,
    last_event: i64,
}

impl<'a> Count<'a> {
    fn of((merchant, lines): (&'a MerchantId, &'a Vec<Line>)) -> Self {
        let mut count = Self {
            merchant,
            lines: 0,
            last_release: 0,
            last_event: 0,
        };
        for line in lines {
            count.lines += 1;
            match EventType::of(&line.entry.event).topic() {
                OutTopic::Releases => count.last_release = count.lines,
                OutTopic::Events => count.last_event = count.lines,
            }
        }
        count
    }
}

/// One line with its numbers.
struct Row<'a> {
    merchant: &'a MerchantId,
    sequence: i64,
    previous: i64,
    kind: EventType,
    line: &'a Line,
}

impl Row<'_> {
    fn transfer(&self) -> Option<Transfer> {
        let lost = self.sequence == 3 && is_planted(Bug::LoseTransfer);
        self.line.entry.transfer.filter(|_| !lost)
    }

    /// The subject, unless it is the hold that stands in its own column.
    fn subject(&self) -> Option<String> {
        let subject = self.line.entry.subject();
        let hold = self.line.entry.hold.map(|hold| hold.to_string());
        (Some(&subject) != hold.as_ref()).then_some(subject)
    }
}
