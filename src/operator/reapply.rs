//! `agreement reapply`: a person lets an agreement rule orders that came before it.
//!
//! Works through the orders in bounded transactions, each whole; broken off in between it has rewritten some
//! of them, and a second run takes up the rest.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{By, Operator, OperatorError, refuse};
use crate::ingest::reparse_with;
use crate::rules::decide::{self, Stays, World};
use crate::rules::ids::{AgreementId, MerchantId, OrderId};
use crate::rules::review::Review;
use crate::store::StoreError;
use crate::store::agreements::Catalogue;
use crate::store::cases::{Cases, OrderKey};
use crate::store::journal::Lines;
use crate::store::operations::{About, Operation};
use crate::store::reviews::ReviewKey;
/// Orders per transaction.
const STEP: i64 = 500;

/// What is to be rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reapply {
    pub agreement: AgreementId,
    /// Only this merchant's orders.
    pub merchant: Option<MerchantId>,
    /// Nobody has paid what no term held: more may be held than before.
    pub free_unpaid: bool,
    /// Decide everything and write nothing.
    pub dry_run: bool,
}

/// What became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reapplied {
    /// The operation under which it is kept; `None` when nothing was rewritten.
    pub operation: Option<Uuid>,
    pub rewritten: u64,
    pub stay: u64,
}

impl Operator {
    /// Rewrites the holds of all orders that the agreement came late for and whose money is untouched;
    /// `stays` hears of each other one and why.
    ///
    /// # Errors
    /// [`OperatorError::Refused`] when there is no such agreement for that merchant.
    pub async fn reapply(
        &self,
        it: &Reapply,
        by: &By,
        mut stays: impl FnMut(&OrderKey, &str),
    ) -> Result<Reapplied, OperatorError> {
        let Some(owner) = self.store.agreement_owner(&it.agreement).await? else {
            return refuse(format!("there is no agreement {}", it.agreement));
        };
        let mut merchant = it.merchant.clone();
        if !owner.is_platform() {
            if merchant.is_some_and(|merchant| merchant != owner) {
                return refuse(format!("agreement {} belongs to {owner}", it.agreement));
            }
            merchant = Some(owner);
        }
        let mut total = Reapplied::default();
        let mut after: Option<OrderKey> = None;
        loop {
            let (merchant, from) = (merchant.as_ref(), after.as_ref());
            let page = self.store.late_orders(&it.agreement, merchant, from, STEP);
            let page = page.await?;
            let Some((last, _)) = page.last() else {
                return Ok(total);
            };
            after = Some(last.clone());
            self.rewrite(it, by, &page, &mut total, &mut stays).await?;
        }
    }

    /// One page in one transaction.
    async fn rewrite(
        &self,
        it: &Reapply,
        by: &By,
        page: &[(OrderKey, bool)],
        total: &mut Reapplied,
        stays: &mut impl FnMut(&OrderKey, &str),
    ) -> Result<(), OperatorError> {
        let keys: Vec<OrderKey> = page.iter().map(|(key, _)| key.clone()).collect();
        let mut merchants: Vec<MerchantId> = keys.iter().map(|key| key.0.clone()).collect();
        merchants.dedup();
        let mut tx = self.store.begin().await?;
        let operation = match total.operation {
            Some(operation) => operation,
            None => tx.operation_id().await?,
        };
        let mut catalogue = Catalogue::default();
        tx.open_catalogue(&mut catalogue, &merchants, false).await?;
        let reparse = reparse_with(&self.rules);
        let mut cases = tx.load_orders(&keys, &mut catalogue, &reparse).await?;
        let calendars = catalogue.calendars();
        let mut lines = Lines::default();
        let mut rewritten = Vec::new();
        for (key, extended) in page {
            let Some(case) = cases.get_mut(key) else {
                continue;
            };
            let agreements = catalogue.of(&key.0);
            let world = World {
                agreements: &agreements,
                calendars: &calendars,
                now: tx.now,
                approval: &self.rules.approval,
            };
            if *extended {
                total.stay += 1;
                stays(key, "a person has put its dates off");
                continue;
            }
            let cause = format!("reapply:{operation}");
            match decide::reapply(&mut case.order, &it.agreement, it.free_unpaid, cause, world) {
                Ok(entries) => {
                    lines.add_by(&key.0, entries, operation);
                    rewritten.push(key.clone());
                }
                Err(Stays::NotLate) => {}
                Err(why) => {
                    total.stay += 1;
                    stays(key, &why.to_string());
                }
            }
        }
        total.rewritten += u64::try_from(rewritten.len()).unwrap_or(u64::MAX);
        if rewritten.is_empty() || it.dry_run {
            tx.rollback().await?;
            return Ok(());
        }
        tx.orders_of_reviews(&reviews(&cases, &rewritten)).await?;
        tx.drop_holds(&mut cases, &rewritten).await?;
        tx.save_orders(&cases, &catalogue).await?;
        tx.write(&lines).await?;
        if total.operation.is_none() {
            tx.keep_operation(&it.operation(operation, by)?).await?;
        }
        tx.commit().await?;
        total.operation = Some(operation);
        Ok(())
    }
}

/// The reviews of these orders, some begun just now.
fn reviews(cases: &Cases, keys: &[OrderKey]) -> BTreeMap<ReviewKey, Option<OrderId>> {
    let orders = keys.iter().filter_map(|key| cases.get(key));
    let reviews = orders.flat_map(|case| {
        let order = &case.order;
        let key = |review: &Review| (order.merchant.clone(), review.id.clone());
        order
            .reviews
            .iter()
            .map(move |review| (key(review), Some(order.id.clone())))
    });
    reviews.collect()
}

impl Reapply {
    fn operation<'a>(&self, id: Uuid, by: &'a By) -> Result<Operation<'a>, StoreError> {
        let request = serde_json::json!({
            "kind": "reapply", "agreement": self.agreement.as_str(),
            "merchant": self.merchant.as_ref().map(MerchantId::as_str),
            "free_unpaid": self.free_unpaid,
        });
        Ok(Operation {
            id,
            kind: "reapply",
            actor: &by.actor,
            reason: &by.reason,
            request,
            about: About {
                merchant: self.merchant.clone(),
                ..About::default()
            },
            needs_approval: false,
            approves: None,
        })
    }
}
