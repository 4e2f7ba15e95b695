//! Agreements and calendars, and the revision that orders their arrival.
//!
//! A batch of orders reads the revision under a shared lock, a batch with agreements
//! raises it under an exclusive one, so no order is decided under a catalogue that is already old.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::types::{column, content, unreadable};
use super::{StoreError, Tx, failed};
use crate::rules::agreement::Agreement;
use crate::rules::calendar::Calendars;
use crate::rules::fact::ContentHash;
use crate::rules::ids::MerchantId;

/// Agreements of this many merchants are remembered at most; then it starts afresh.
const REMEMBERED_MERCHANTS: usize = 20_000;

/// What this process remembers of agreements and calendars, valid for one revision.
#[derive(Debug, Default)]
pub struct Catalogue {
    revision: i64,
    by_merchant: HashMap<MerchantId, Arc<[Arc<Agreement>]>>,
    by_no: HashMap<i64, Arc<Agreement>>,
    numbers: HashMap<AgreementKey, i64>,
    calendars: Arc<Calendars>,
}

/// An agreement version's identity.
type AgreementKey = (MerchantId, String, u64);

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

impl Catalogue {
    /// The revision that this is valid for.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The calendars of this revision.
    #[must_use]
    pub fn calendars(&self) -> Arc<Calendars> {
        Arc::clone(&self.calendars)
    }

    /// The merchant's own agreements and the platform's; loaded before by
    /// [`Tx::open_catalogue`].
    #[must_use]
    pub fn of(&self, merchant: &MerchantId) -> Arc<[Arc<Agreement>]> {
        self.by_merchant
            .get(merchant)
            .map_or_else(|| Arc::from([]), Arc::clone)
    }

    pub(super) fn by_no(&self, no: i64) -> Result<Arc<Agreement>, StoreError> {
        self.by_no
            .get(&no)
            .map(Arc::clone)
            .ok_or_else(|| StoreError::Unreadable(format!("agreement number {no}")))
    }

    pub(super) fn number(&self, agreement: &Agreement) -> Result<i64, StoreError> {
        self.numbers
            .get(&key(agreement))
            .copied()
            .ok_or_else(|| StoreError::Unreadable(format!("agreement {}", agreement.agreement_id)))
    }

    fn learn(&mut self, no: i64, body: serde_json::Value) -> Result<Arc<Agreement>, StoreError> {
        if let Some(known) = self.by_no.get(&no) {
            return Ok(Arc::clone(known));
        }
        let agreement: Agreement =
            serde_json::from_value(body).map_err(|error| unreadable(&error))?;
        let agreement = Arc::new(agreement);
        self.numbers.insert(key(&agreement), no);
        self.by_no.insert(no, Arc::clone(&agreement));
        Ok(agreement)
    }
}

fn key(agreement: &Agreement) -> AgreementKey {
    (
        agreement.merchant_id.clone(),
        agreement.agreement_id.as_str().to_owned(),
        agreement.version,
    )
}

impl Tx {
    /// Brings the catalogue up to date for these merchants and keeps it so until the transaction
    /// ends; `exclusive` when agreements or calendars are about to be accepted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_catalogue(
        &mut self,
        catalogue: &mut Catalogue,
        merchants: &[MerchantId],
        exclusive: bool,
    ) -> Result<(), StoreError> {
        let revision = if exclusive {
            sqlx::query_scalar!("SELECT revision FROM catalogue FOR UPDATE")
                .fetch_one(&mut *self.inner)
                .await
        } else {
            sqlx::query_scalar!("SELECT revision FROM catalogue FOR SHARE")
                .fetch_one(&mut *self.inner)
                .await
        }
        .map_err(failed("read the catalogue's revision"))?;
        if revision != catalogue.revision || catalogue.by_merchant.len() > REMEMBERED_MERCHANTS {
            *catalogue = Catalogue {
                revision,
                calendars: Arc::new(self.latest_calendars().await?),
                ..Catalogue::default()
            };
        }
        self.learn_merchants(catalogue, merchants).await
    }

    pub(super) async fn learn_merchants(
        &mut self,
        catalogue: &mut Catalogue,
        merchants: &[MerchantId],
    ) -> Result<(), StoreError> {
        let unknown: Vec<&MerchantId> = merchants
            .iter()
            .filter(|merchant| !catalogue.by_merchant.contains_key(*merchant))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let platform = MerchantId::platform();
        let names: Vec<String> = unknown
            .iter()
            .map(|merchant| merchant.as_str().to_owned())
            .chain([platform.as_str().to_owned()])
            .collect();
        let rows = sqlx::query!(
            "SELECT merchant_id, agreement_no, body FROM agreements WHERE merchant_id = ANY($1)",
            &names[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read agreements"))?;
        let mut own: HashMap<String, Vec<Arc<Agreement>>> = HashMap::new();
        for row in rows {
            let agreement = catalogue.learn(row.agreement_no, row.body)?;
            own.entry(row.merchant_id).or_default().push(agreement);
        }
        let shared = own.get(platform.as_str()).cloned().unwrap_or_default();
        for merchant in unknown {
            let mut all = own.get(merchant.as_str()).cloned().unwrap_or_default();
            if !merchant.is_platform() {
                all.extend(shared.iter().cloned());
            }
            catalogue
                .by_merchant
                .insert(merchant.clone(), Arc::from(all));
        }
        Ok(())
    }

    /// Makes sure that agreements referred to by number are in the catalogue.
    pub(super) async fn agreements_by_no(
        &mut self,
        numbers: &[i64],
        catalogue: &mut Catalogue,
    ) -> Result<(), StoreError> {
        let mut unknown: Vec<i64> = numbers
            .iter()
            .copied()
            .filter(|no| !catalogue.by_no.contains_key(no))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        unknown.sort_unstable();
        unknown.dedup();
        let rows = sqlx::query!(
            "SELECT agreement_no, body FROM agreements WHERE agreement_no = ANY($1)",
            &unknown[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read agreements by number"))?;
        for row in rows {
            catalogue.learn(row.agreement_no, row.body)?;
        }
        Ok(())
    }

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

    /// What this process remembers is old from here on, also if the transaction fails later.
    pub(super) async fn raise_revision(
        &mut self,
        catalogue: &mut Catalogue,
    ) -> Result<(), StoreError> {
        sqlx::query!("UPDATE catalogue SET revision = revision + 1")
            .execute(&mut *self.inner)
            .await
            .map_err(failed("raise the catalogue's revision"))?;
        *catalogue = Catalogue {
            revision: -1,
            ..Catalogue::default()
        };
        Ok(())
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
