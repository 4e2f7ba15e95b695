//! What people do: pauses, blocks, decisions of reviews, early releases, later dates, write-offs; the
//! larger of these, and every write-off, by two persons.
//!
//! Guarantees that each act is one transaction, that it is kept with its actor and reason in a table
//! that is only appended to, and that it races with nothing: rows and the pauses' table are locked as
//! by everybody else. What lets go of more money than `approval.above` happens only when a second
//! person approves it, and then once.

mod approval;
mod charge;
pub mod commands;
mod holds;
mod orders;
mod parked;
mod patience;
pub mod payouts;
mod purses;
pub mod reapply;
pub mod receivables;
mod replay;
mod request;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::config::Config;
use crate::ingest::{self, Rules};
use crate::release::{passage, recovery};
use crate::rules::decide::{Said, World};
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::pause::{Pause, Pauses, Scope};
use crate::rules::time::Instant;
use crate::store::agreements::Catalogue;
use crate::store::journal::Lines;
use crate::store::operations::{About, Operation};
use crate::store::{Store, StoreError, Tx};

use patience::Patience;
pub use request::{By, Request};

/// What is said of a request that one person alone may not carry out.
const TWO_PERSONS: &str = "this needs a second person, within 7 days";

/// Carries out what people ask for.
#[derive(Debug, Clone)]
pub struct Operator {
    store: Store,
    config: Arc<Config>,
    rules: Arc<Rules>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The operation under which it is kept.
    pub operation: Uuid,
    /// It waits for a second person and nothing has happened yet.
    pub proposed: bool,
    /// What happened, for people.
    pub says: String,
}

/// Why a request was not carried out; nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// It can't be done as things stand.
    #[error("{0}")]
    Refused(String),
    /// Not everything that lay in the input when it was asked for has been applied.
    #[error("the freshness gate is closed: {0} holds it back")]
    Gate(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One operation under way.
#[derive(Debug, Clone, Copy)]
struct Act<'a> {
    id: Uuid,
    by: &'a By,
    /// A second person has agreed.
    approved: bool,
    asked_at: Instant,
}

/// What an act came to before it is kept.
struct Outcome {
    about: About,
    proposed: bool,
    says: String,
}

impl Operator {
    /// Over this store.
    #[must_use]
    pub fn new(store: Store, config: Arc<Config>) -> Self {
        let rules = Arc::new(Rules::of(&config));
        Self {
            store,
            config,
            rules,
        }
    }

    /// Carries out a request, or keeps it for a second person. An early release waits until all that
    /// lay in the input when it was asked for is applied, at most `release.max_staleness_seconds`.
    ///
    /// # Errors
    /// [`OperatorError::Refused`] when it can't be done as things stand.
    pub async fn submit(&self, request: &Request, by: &By) -> Result<Answer, OperatorError> {
        let asked_at = self.store.now().await?;
        let patience = self.patience();
        loop {
            let answer = self.attempt(request, by, asked_at).await;
            if !patience.waits_after(&answer).await {
                return answer;
            }
        }
    }

    /// What a merchant's holds and credits ask for that were due before `release.not_before`: a release
    /// each, of what is free now. Nothing before the first start.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn before_start(&self, merchant: &MerchantId) -> Result<Vec<Request>, StoreError> {
        let Some(deployment) = self.store.deployment().await? else {
            return Ok(Vec::new());
        };
        let start = deployment.release_not_before;
        let holds = self.store.due_before(merchant, start).await?;
        let requests = holds.into_iter().map(|(hold, free)| Request::Release {
            merchant: merchant.clone(),
            hold,
            amount: Some(free.to_string()),
        });
        let credits = self.store.credits(merchant).await?.into_iter();
        let credits = credits.filter(|credit| credit.opened_at < start);
        let credits = credits.map(|credit| Request::ReleaseCredit {
            merchant: merchant.clone(),
            credit: credit.id,
        });
        Ok(requests.chain(credits).collect())
    }

    fn patience(&self) -> Patience {
        let seconds = self.config.release.max_staleness_seconds;
        Patience::of(Duration::from_secs(u64::from(seconds)))
    }

    async fn attempt(
        &self,
        request: &Request,
        by: &By,
        asked_at: Instant,
    ) -> Result<Answer, OperatorError> {
        let mut tx = self.store.begin().await?;
        let act = Act {
            id: tx.operation_id().await?,
            by,
            approved: false,
            asked_at,
        };
        match self.carry_out(&mut tx, request, act).await {
            Ok(outcome) => {
                tx.commit().await?;
                Ok(Answer {
                    operation: act.id,
                    proposed: outcome.proposed,
                    says: outcome.says,
                })
            }
            Err(error) => {
                tx.rollback().await?;
                Err(error)
            }
        }
    }

    async fn carry_out(
        &self,
        tx: &mut Tx,
        request: &Request,
        act: Act<'_>,
    ) -> Result<Outcome, OperatorError> {
        let key = |order: &OrderId, merchant: &MerchantId| (merchant.clone(), order.clone());
        let outcome = match request {
            Request::Pause { scope } => pause(tx, request, act, scope).await?,
            Request::Resume { scope } => {
                if !tx.end_pause(scope, act.id).await? {
                    return refuse(format!("there is no pause of {scope}"));
                }
                Outcome::of(request, format!("{scope} are no longer paused by this"))
            }
            Request::Block {
                merchant, order, ..
            }
            | Request::Unblock {
                merchant, order, ..
            } => {
                let key = key(order, merchant);
                self.on_order(tx, request, act, key, None).await?
            }
            Request::Decide {
                merchant, review, ..
            } => {
                let review_key = (merchant.clone(), review.clone());
                let Some(order) = tx.order_of_review(&review_key).await? else {
                    return refuse(format!("merchant {merchant} has no review {review}"));
                };
                let key = (merchant.clone(), order);
                self.on_order(tx, request, act, key, None).await?
            }
            Request::Extend { merchant, hold, .. } => {
                self.extend(tx, request, act, (merchant, *hold)).await?
            }
            Request::Release { merchant, hold, .. } => {
                self.release_early(tx, request, act, (merchant, *hold))
                    .await?
            }
            Request::ReleaseCredit { merchant, credit } => {
                self.release_credit(tx, request, act, (merchant, *credit))
                    .await?
            }
            Request::WriteOff {
                merchant,
                receivable,
                amount,
            } => {
                let receivable = (merchant, *receivable, amount.as_str());
                self.write_off(tx, request, act, receivable).await?
            }
            Request::Reissue { merchant, release } => {
                self.reissue(tx, request, act, (merchant, *release)).await?
            }
            Request::DropParked { place } => self.drop_parked(tx, request, act, place).await?,
            Request::ChargeParked {
                place,
                amount,
                currency,
            } => {
                let said = Said {
                    amount: amount.clone(),
                    currency: *currency,
                };
                self.charge_parked(tx, request, act, (place, said)).await?
            }
        };
        if !act.approved {
            let operation = operation(request, act, &outcome)?;
            tx.keep_operation(&operation).await?;
        }
        Ok(outcome)
    }

    /// Decides a request about one order and writes what follows.
    async fn on_order(
        &self,
        tx: &mut Tx,
        request: &Request,
        act: Act<'_>,
        key: (MerchantId, OrderId),
        pauses: Option<&Pauses>,
    ) -> Result<Outcome, OperatorError> {
        let mut catalogue = Catalogue::default();
        tx.open_catalogue(&mut catalogue, std::slice::from_ref(&key.0), false)
            .await?;
        let mut cases = ingest::load(tx, &mut catalogue, &self.rules, &key).await?;
        let Some(case) = cases.get_mut(&key) else {
            return refuse(format!("order {} can't be loaded", key.1));
        };
        let currency = case.order.sale.as_ref().map(|noted| noted.value.currency);
        if let Some(pause) = pauses
            .zip(currency)
            .and_then(|(it, currency)| it.over(&key.0, currency))
        {
            return refuse(pause.to_string());
        }
        let agreements = catalogue.of(&key.0);
        let calendars = catalogue.calendars();
        let world = World {
            agreements: &agreements,
            calendars: &calendars,
            now: tx.now,
            approval: &self.rules.approval,
        };
        let mode = tx.release_mode().await?;
        let order = &mut case.order;
        let purse = currency.map(|currency| (key.0.clone(), currency));
        let releases = pauses.and_then(|_| purse.clone().zip(orders::free(order)));
        let mut purses = recovery::lock(tx, releases.into_iter().collect()).await?;
        order.purse = purse.as_ref().and_then(|purse| purses.lend(purse));
        let decided = orders::decide(order, request, act.id, act.by, world, mode)?;
        purses.take_back(purse, order.purse.take());
        let mut outcome = Outcome::of(request, decided.says);
        outcome.about.order = Some(key.1.clone());
        outcome.about.currency = currency;
        outcome.about.amount = decided.lets_go;
        if !act.approved && self.needs_approval(tx, request, &outcome.about).await? {
            outcome.proposed = true;
            TWO_PERSONS.clone_into(&mut outcome.says);
            return Ok(outcome);
        }
        for alarm in decided.alarms {
            tracing::warn!(alarm, merchant = %key.0, order = %key.1, "someone should look at this order");
        }
        let mut lines = Lines::default();
        lines.add_by(&key.0, decided.entries, act.id);
        tx.save_orders(&cases, &catalogue).await?;
        tx.save_purses(&mut purses).await?;
        tx.write(&lines).await?;
        Ok(outcome)
    }

    /// The gate, for money that goes by hand: everything that lay in the input when it was asked for
    /// must be applied.
    async fn pass(&self, tx: &mut Tx, asked_at: Instant) -> Result<(), OperatorError> {
        let topics = self.config.topics.inputs().map(str::to_owned);
        let gate = tx.gate(&topics).await?;
        let passage = passage(tx.now, gate, &self.config.release);
        let fresh = passage.gate.moment.is_some_and(|moment| moment >= asked_at);
        if passage.until.is_some() && fresh {
            return Ok(());
        }
        let behind = passage.gate.behind;
        Err(OperatorError::Gate(
            behind.unwrap_or_else(|| "no partition is known and".to_owned()),
        ))
    }
}

impl Outcome {
    fn of(request: &Request, says: String) -> Self {
        Self {
            about: request.about(),
            proposed: false,
            says,
        }
    }
}

/// Begins a pause.
async fn pause(
    tx: &mut Tx,
    request: &Request,
    act: Act<'_>,
    scope: &Scope,
) -> Result<Outcome, OperatorError> {
    let pause = Pause {
        scope: scope.clone(),
        actor: act.by.actor.clone(),
        reason: act.by.reason.clone(),
        since: tx.now,
    };
    if !tx.begin_pause(&pause, act.id).await? {
        return refuse(format!("{scope} are paused already"));
    }
    let what_follows = "nothing is decided any more, what was decided goes out";
    let says = format!("{scope} are paused: {what_follows}");
    Ok(Outcome::of(request, says))
}

fn operation<'a>(
    request: &Request,
    act: Act<'a>,
    outcome: &Outcome,
) -> Result<Operation<'a>, StoreError> {
    let body = serde_json::to_value(request);
    Ok(Operation {
        id: act.id,
        kind: request.kind(),
        actor: &act.by.actor,
        reason: &act.by.reason,
        request: body.map_err(|error| StoreError::Unreadable(error.to_string()))?,
        about: outcome.about.clone(),
        needs_approval: outcome.proposed,
        approves: None,
    })
}

fn refuse<T>(why: String) -> Result<T, OperatorError> {
    Err(OperatorError::Refused(why))
}
