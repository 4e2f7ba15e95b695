//! The second person: a request that lets go of more than one person may is kept, and carried out
//! when another approves it: once, within seven days, by the rules as they stand then.

use rust_decimal::Decimal;
use uuid::Uuid;

use super::{Act, Answer, By, Operator, OperatorError, Request, refuse};
use crate::rules::money::Amount;
use crate::rules::time::Instant;
use crate::store::operations::{About, Operation, Proposal};
use crate::store::{StoreError, Tx};

impl Operator {
    /// Carries out what another person has asked for; waits as [`Operator::submit`] does.
    ///
    /// # Errors
    /// [`OperatorError::Refused`] when there is no such request, it is the same person's, was
    /// approved before, is older than seven days, or can't be done as things stand: then it may be
    /// approved later.
    pub async fn approve(&self, operation: Uuid, actor: &str) -> Result<Answer, OperatorError> {
        let asked_at = self.store.now().await?;
        let patience = self.patience();
        loop {
            let answer = self.try_approval(operation, actor, asked_at).await;
            if !patience.waits_after(&answer).await {
                return answer;
            }
        }
    }

    async fn try_approval(
        &self,
        operation: Uuid,
        actor: &str,
        asked_at: Instant,
    ) -> Result<Answer, OperatorError> {
        let mut tx = self.store.begin().await?;
        let Some(proposal) = tx.proposal(operation).await? else {
            return refuse(format!("nothing waits for approval under {operation}"));
        };
        let second = By::new(actor, &proposal.reason)?;
        if let Err(why) = may_approve(&proposal, &second.actor) {
            return refuse(why);
        }
        let request = serde_json::from_value(proposal.request.clone())
            .map_err(|error| StoreError::Unreadable(error.to_string()))?;
        let approval = Operation {
            id: tx.operation_id().await?,
            kind: "approve",
            actor: &second.actor,
            reason: &second.reason,
            request: proposal.request.clone(),
            about: About::default(),
            needs_approval: false,
            approves: Some(operation),
        };
        // First: of two at once the second waits here, and then finds the first's.
        tx.keep_operation(&approval).await?;
        let first = By {
            actor: proposal.actor,
            reason: proposal.reason,
        };
        let act = Act {
            id: operation,
            by: &first,
            approved: true,
            asked_at,
        };
        // What fails is dropped with its transaction, the approval too.
        let outcome = self.carry_out(&mut tx, &request, act).await?;
        let amount = outcome.about.amount.map(Amount::decimal);
        if matches!(request, Request::ChargeParked { .. }) && amount != proposal.amount {
            return refuse("it would charge another amount now: ask for it again".to_owned());
        }
        tx.commit().await?;
        Ok(Answer {
            operation,
            proposed: false,
            says: outcome.says,
        })
    }

    /// Whether this lets go of, or charges, more than one person may, parts of one order within a week
    /// taken together. What can't be told yet may be more. A review's decision counts as its whole order,
    /// by itself.
    pub(super) async fn needs_approval(
        &self,
        tx: &mut Tx,
        request: &Request,
        about: &About,
    ) -> Result<bool, StoreError> {
        let above = &self.config.approval.above;
        let counts = matches!(
            request,
            Request::Unblock { .. }
                | Request::Release { .. }
                | Request::ReleaseCredit { .. }
                | Request::Reissue { .. }
                | Request::DropParked { .. }
                | Request::ChargeParked { .. }
                | Request::Decide { .. }
        );
        if !counts || above.is_empty() {
            return Ok(false);
        }
        let Some((amount, currency)) = about.amount.zip(about.currency) else {
            return Ok(true);
        };
        let Some(limit) = above.get(&currency) else {
            return Ok(false);
        };
        let before = match request {
            Request::Decide { .. } => Decimal::ZERO,
            _ => tx.let_go_alone(request.kind(), about).await?,
        };
        let together = before.checked_add(amount.decimal());
        Ok(!amount.is_zero() && together.is_none_or(|sum| sum > limit.decimal()))
    }
}

fn may_approve(proposal: &Proposal, actor: &str) -> Result<(), String> {
    if let Some(earlier) = &proposal.approved_by {
        return Err(format!("{earlier} has approved this already"));
    }
    if proposal.expired {
        return Err("this is older than 7 days: ask for it again".to_owned());
    }
    if proposal.actor.to_lowercase() == actor.to_lowercase() {
        return Err(format!(
            "{actor} has asked for this: another must approve it"
        ));
    }
    Ok(())
}
