//! The journal: every event and every movement, numbered per merchant without gaps.
//!
//! The numbers are given under the merchant's row, taken last in the transaction: a transaction
//! that fails gives none, and two that meet on a merchant write one after the other.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::cases::Source;
use super::elsewhere::{Known, Published, contradiction, published_as};
use super::types::column;
use super::{StoreError, Tx, failed};
use crate::message::outgoing::{self, EventType, OutTopic};
use crate::planted::{Bug, is_planted};
use crate::rules::entry::{Entry, Transfer};
use crate::rules::ids::{EventId, MerchantId};
use crate::rules::time::Instant;

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

/// The place of a line in its merchant's journal.
#[derive(Debug, Clone)]
struct Number {
    sequence: i64,
    previous: i64,
    /// Under which the line was published before the database lost it.
    published: Option<Published>,
}

/// Numbers given to a merchant's lines, one each; `None` for a line that stands in the journal
/// already, as it was published.
#[derive(Debug, Clone)]
pub struct Numbers(Vec<Option<Number>>);

impl Numbers {
    /// The sequence of each line.
    pub fn sequences(&self) -> impl Iterator<Item = Option<i64>> + '_ {
        let sequence = |number: &Option<Number>| number.as_ref().map(|it| it.sequence);
        self.0.iter().map(sequence)
    }
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

    /// The events' ids.
    pub(super) fn ids(&self) -> Vec<(MerchantId, EventId)> {
        let id = |merchant: &MerchantId, line: &Line| line.entry.event_id(merchant);
        let ids = self
            .0
            .iter()
            .flat_map(|(merchant, lines)| lines.iter().map(move |it| (merchant, it)));
        ids.map(|(merchant, line)| (merchant.clone(), id(merchant, line)))
            .collect()
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

    /// Locks the merchants and gives numbers to their lines: new ones, and to what was published before
    /// the database lost it the same again.
    ///
    /// # Errors
    /// [`StoreError::Uncompared`] while nothing may be decided.
    pub async fn number_lines(
        &mut self,
        lines: &Lines,
    ) -> Result<HashMap<MerchantId, Numbers>, StoreError> {
        let known = self.published_before(lines).await?;
        let counts: Vec<Count<'_>> = lines.0.iter().map(|it| Count::of(it, &known)).collect();
        let rows = sqlx::query!(
            r#"INSERT INTO merchants AS m
                   (merchant_id, last_sequence, last_release_sequence, last_event_sequence)
               SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
               WHERE EXISTS (SELECT FROM publisher WHERE fault IS NULL
                       AND coalesce(compared_on = server_identity(), true))
                 AND ($5 OR NOT EXISTS (SELECT FROM published_elsewhere))
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
            self.reconciling,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("number journal lines"))?;
        if rows.len() < counts.len() {
            return Err(StoreError::Uncompared);
        }
        let mut numbers = HashMap::with_capacity(rows.len());
        for row in rows {
            let merchant = super::types::merchant_id(&row.merchant_id)?;
            let (merchant, lines) = lines.0.get_key_value(&merchant).ok_or_else(|| {
                StoreError::Unreadable(format!("merchant {merchant} unasked for"))
            })?;
            let count = Count::of((merchant, lines), &known).lines;
            let before = Before {
                sequence: row.last_sequence - count,
                topics: [row.prior_release_sequence, row.prior_event_sequence],
            };
            numbers.insert(merchant.clone(), before.number(merchant, lines, &known));
        }
        self.found_again(&found_again(lines, &numbers)).await?;
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
            for (number, line) in given.0.iter().zip(lines) {
                if let Some(number) = number {
                    rows.push(Row {
                        merchant,
                        number,
                        kind: EventType::of(&line.entry.event),
                        line,
                    });
                }
            }
        }
        self.insert_rows(&rows).await
    }

    async fn insert_rows(&mut self, rows: &[Row<'_>]) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO journal (merchant_id, sequence, previous, event, event_id, occurred_at,
                 order_id, hold_id, currency, debit, credit, amount, subject, data,
                 source_topic, source_partition, source_offset, traceparent, operation_id)
             SELECT merchant_id, sequence, previous, event, event_id, occurred_at, order_id, hold_id,
                 currency, debit, credit, amount, subject, data, source_topic, source_partition,
                 source_offset, traceparent, operation_id
             FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::smallint[], $5::uuid[],
                 $6::text[], $7::uuid[], $8::text[], $9::smallint[], $10::smallint[],
                 $11::numeric[], $12::text[], $13::text[], $14::smallint[], $15::integer[],
                 $16::bigint[], $17::text[], $18::timestamptz[], $19::uuid[])
               AS u (merchant_id, sequence, previous, event, event_id, order_id, hold_id, currency,
                 debit, credit, amount, subject, data, source_topic, source_partition,
                 source_offset, traceparent, occurred_at, operation_id)",
            column(rows, |r| r.merchant.as_str().to_owned()) as _,
            column(rows, |r| r.number.sequence) as _,
            column(rows, |r| r.number.previous) as _,
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
            column(rows, Row::data) as _,
            column(rows, |r| r.line.source.map(|s| s.topic.number())) as _,
            column(rows, |r| r.line.source.map(|s| s.partition)) as _,
            column(rows, |r| r.line.source.map(|s| s.offset)) as _,
            column(rows, |r| r.line.entry.traceparent.clone()) as _,
            column(rows, |r| r.occurred_at(self.now)) as _,
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
    /// The lines that get new numbers.
    fn of((merchant, lines): (&'a MerchantId, &'a Vec<Line>), known: &Known) -> Self {
        let mut count = Self {
            merchant,
            lines: 0,
            last_release: 0,
            last_event: 0,
        };
        let new = |line: &&Line| published_as(known, merchant, line).is_none();
        for line in lines.iter().filter(new) {
            count.lines += 1;
            match EventType::of(&line.entry.event).topic() {
                OutTopic::Releases => count.last_release = count.lines,
                OutTopic::Events => count.last_event = count.lines,
            }
        }
        count
    }
}

/// What a merchant's numbers go on from.
struct Before {
    sequence: i64,
    /// The last sequence in the topic of releases and in that of events.
    topics: [i64; 2],
}

impl Before {
    fn number(mut self, merchant: &MerchantId, lines: &[Line], known: &Known) -> Numbers {
        let number = |line: &Line| {
            if let Some(published) = published_as(known, merchant, line) {
                let stands = published.taken || published.contradiction.is_some();
                return (!stands).then(|| Number {
                    sequence: published.sequence,
                    previous: published.previous,
                    published: Some(published.clone()),
                });
            }
            let topic = match EventType::of(&line.entry.event).topic() {
                OutTopic::Releases => 0,
                OutTopic::Events => 1,
            };
            self.sequence += 1;
            Some(Number {
                sequence: self.sequence,
                previous: std::mem::replace(&mut self.topics[topic], self.sequence),
                published: None,
            })
        };
        Numbers(lines.iter().map(number).collect())
    }
}

/// The lines that were published before, each with its contradiction.
fn found_again(
    lines: &Lines,
    numbers: &HashMap<MerchantId, Numbers>,
) -> Vec<(MerchantId, Uuid, Option<String>)> {
    let mut found = Vec::new();
    for (merchant, lines) in &lines.0 {
        let given = numbers.get(merchant).map_or(&[][..], |it| &it.0);
        for (number, line) in given.iter().zip(lines) {
            if let Some(published) = number.as_ref().and_then(|it| it.published.as_ref()) {
                let made = outgoing::data(&line.entry.event);
                let contradiction = contradiction(published, line, &made);
                found.push((merchant.clone(), published.event_id, contradiction));
            }
        }
    }
    found
}

/// One line with its numbers.
struct Row<'a> {
    merchant: &'a MerchantId,
    number: &'a Number,
    kind: EventType,
    line: &'a Line,
}

impl Row<'_> {
    fn transfer(&self) -> Option<Transfer> {
        let lost = self.number.sequence == 3 && is_planted(Bug::LoseTransfer);
        self.line.entry.transfer.filter(|_| !lost)
    }

    /// As it was published, where that is the same money.
    fn data(&self) -> String {
        let made = outgoing::data(&self.line.entry.event);
        match &self.number.published {
            Some(published) if contradiction(published, self.line, &made).is_none() => {
                published.data.clone()
            }
            _ => made,
        }
    }

    fn occurred_at(&self, now: Instant) -> Instant {
        let published = self.number.published.as_ref();
        published.map_or(now, |published| published.occurred_at)
    }

    /// The subject, unless it is the hold that stands in its own column.
    fn subject(&self) -> Option<String> {
        let subject = self.line.entry.subject();
        let hold = self.line.entry.hold.map(|hold| hold.to_string());
        (Some(&subject) != hold.as_ref()).then_some(subject)
    }
}
