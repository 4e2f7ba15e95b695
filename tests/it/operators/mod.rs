//! What people do, by the functions that the command line calls, and by the command line itself.

mod approvals;
mod blocks;
mod charged;
mod charging;
mod early;
mod parked;
mod pauses;
mod purses;
mod reapplied;
mod rehearsed;
mod reissued;
mod reviews;
mod typed;

use std::sync::Arc;

use holdback::operator::{Answer, By, Operator, OperatorError, Request};
use holdback::rules::ids::{HoldId, MerchantId, OrderId, TermName};

use crate::harness::Holdback;

fn merchant(id: &str) -> MerchantId {
    MerchantId::parse(id).expect("an id")
}

fn order_id(id: &str) -> OrderId {
    OrderId::parse(id).expect("an id")
}

/// The hold of the term that the tests' agreement has.
fn hold(of: &str, order: &str) -> HoldId {
    let term = TermName::parse("sale").expect("a name");
    HoldId::of(&merchant(of), &order_id(order), &term)
}

fn by(actor: &str) -> By {
    By::new(actor, "because").expect("a name and a reason")
}

fn early(of: &str, order: &str, amount: Option<&str>) -> Request {
    Request::Release {
        merchant: merchant(of),
        hold: hold(of, order),
        amount: amount.map(str::to_owned),
    }
}

fn unblock(of: &str, order: &str, reference: &str) -> Request {
    Request::Unblock {
        merchant: merchant(of),
        order: order_id(order),
        reference: reference.to_owned(),
    }
}

impl Holdback {
    pub fn operator(&self) -> Operator {
        Operator::new(self.store.clone(), Arc::new(self.config()))
    }

    /// What Ann asks for, done or kept for a second person.
    async fn done(&self, request: &Request) -> Answer {
        let answer = self.operator().submit(request, &by("Ann")).await;
        answer.expect("done")
    }

    /// What Ann asks for, refused.
    async fn refused(&self, request: &Request) -> String {
        why(self.operator().submit(request, &by("Ann")).await)
    }
}

fn why(answer: Result<Answer, OperatorError>) -> String {
    match answer {
        Err(OperatorError::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}
