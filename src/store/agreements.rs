//! Agreements: every version that was accepted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::types::{column, content, unreadable};
use super::{StoreError, Tx, failed};
use crate::rules::agreement::Agreement;
use crate::rules::fact::ContentHash;

pub use super::catalogue::Catalogue;

/// What became of an agreement or a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// New; for an agreement, how many orders it would have covered.
    New {
        late_for: u64,
    },
    Duplicate,
    /// The same id and version with other content.
    Conflict,
    /// The agreement's id belongs to another merchant.
    Foreign,
}

impl Tx {
    /// Puts agreement versions into the books; the catalogue must be open exclusively and be
    /// opened again afterwards. One answer each, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accept_agreements(
        &mut self,
        catalogue: &mut Catalogue,
        agreements: &[(&Agreement, ContentHash)],
    ) -> Result<Vec<Accepted>, StoreError> {
        let ids = column(agreements, |(a, _)| a.agreement_id.as_str().to_owned());
        let rows = sqlx::query!(
            "SELECT agreement_id, merchant_id, version, content FROM agreements
             WHERE agreement_id = ANY($1)",
            &ids[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("look for agreements"))?;
        let mut owners: HashMap<String, String> = HashMap::new();
        let mut known: HashMap<(String, i64), ContentHash> = HashMap::new();
        for row in rows {
            known.insert(
                (row.agreement_id.clone(), row.version),
                content(&row.content)?,
            );
            owners.insert(row.agreement_id, row.merchant_id);
        }
        let mut fresh = Vec::new();
        let mut answers = Vec::with_capacity(agreements.len());
        for (agreement, hash) in agreements {
            let id = agreement.agreement_id.as_str().to_owned();
            let version = i64::try_from(agreement.version).map_err(|error| unreadable(&error))?;
            let owner = owners
                .entry(id.clone())
                .or_insert_with(|| agreement.merchant_id.as_str().to_owned());
            if owner.as_str() != agreement.merchant_id.as_str() {
                answers.push(Accepted::Foreign);
                continue;
            }
            match known.entry((id, version)) {
                Entry::Occupied(first) => answers.push(same(*first.get(), *hash)),
                Entry::Vacant(unknown) => {
                    unknown.insert(*hash);
                    fresh.push(AgreementRow::of(agreement, version, *hash, answers.len())?);
                    answers.push(Accepted::New { late_for: 0 });
                }
            }
        }
        if !fresh.is_empty() {
            self.insert_agreements(&fresh).await?;
            self.raise_revision(catalogue).await?;
            for (place, late_for) in self.count_late(&fresh).await? {
                if let Some(answer) = answers.get_mut(place) {
                    *answer = Accepted::New { late_for };
                }
            }
        }
        Ok(answers)
    }

    async fn insert_agreements(&mut self, rows: &[AgreementRow<'_>]) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO agreements
                 (merchant_id, agreement_id, version, content, body, accepted_at)
             SELECT *, $6 FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[],
                 $5::jsonb[])",
            column(rows, |r| r.agreement.merchant_id.as_str().to_owned()) as _,
            column(rows, |r| r.agreement.agreement_id.as_str().to_owned()) as _,
            column(rows, |r| r.version) as _,
            column(rows, |r| r.hash.0.to_vec()) as _,
            column(rows, |r| r.body.clone()) as _,
            self.now as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write agreements"))?;
        Ok(())
    }

    /// Per agreement, by its place: orders that were applied under one that it would have come
    /// before (contract, section 4, order of precedence).
    async fn count_late(
        &mut self,
        rows: &[AgreementRow<'_>],
    ) -> Result<Vec<(usize, u64)>, StoreError> {
        let counts = sqlx::query!(
            r#"SELECT n.place AS "place!", count(*) AS "count!"
               FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[],
                        $5::timestamptz[], $6::bigint[], $7::text[])
                 AS n (place, merchant_id, currency, effective_from, effective_until, version,
                       agreement_id)
               JOIN orders o ON (n.merchant_id = '*' OR o.merchant_id = n.merchant_id)
                AND (n.currency IS NULL OR o.currency = n.currency)
                AND o.completed_at >= n.effective_from
                AND (n.effective_until IS NULL OR o.completed_at <= n.effective_until)
               JOIN agreements a ON a.agreement_no = o.agreement_no
                AND (n.merchant_id <> '*', n.currency IS NOT NULL, n.effective_from, n.version,
                     n.agreement_id COLLATE "C")
                  > (a.merchant_id <> '*', a.body->>'currency' IS NOT NULL,
                     (a.body->>'effective_from')::timestamptz, a.version,
                     a.agreement_id COLLATE "C")
               GROUP BY n.place"#,
            column(rows, |r| i64::try_from(r.place).unwrap_or(i64::MAX)) as _,
            column(rows, |r| r.agreement.merchant_id.as_str().to_owned()) as _,
            column(rows, |r| r.agreement.currency.map(|c| c.code().to_owned())) as _,
            column(rows, |r| r.agreement.effective_from) as _,
            column(rows, |r| r.agreement.effective_until) as _,
            column(rows, |r| r.version) as _,
            column(rows, |r| r.agreement.agreement_id.as_str().to_owned()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("count orders that an agreement came late for"))?;
        Ok(counts
            .into_iter()
            .filter_map(|row| {
                Some((
                    usize::try_from(row.place).ok()?,
                    u64::try_from(row.count).ok()?,
                ))
            })
            .collect())
    }
}

/// A new agreement version's row.
struct AgreementRow<'a> {
    agreement: &'a Agreement,
    version: i64,
    hash: ContentHash,
    body: serde_json::Value,
    /// Its place among the answers.
    place: usize,
}

impl<'a> AgreementRow<'a> {
    fn of(
        agreement: &'a Agreement,
        version: i64,
        hash: ContentHash,
        place: usize,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            agreement,
            version,
            hash,
            body: serde_json::to_value(agreement).map_err(|error| unreadable(&error))?,
            place,
        })
    }
}

pub(super) fn same(known: ContentHash, hash: ContentHash) -> Accepted {
    if known == hash {
        Accepted::Duplicate
    } else {
        Accepted::Conflict
    }
}
