//! The rules of money and time. Pure: no async, no SQL, no Kafka, no clock.
//!
//! A fact about an order meets everything known about that order ([`order::Order`]) in
//! [`decide`]; a hold that may be due meets the clock in [`release`]. Both answer with journal
//! [`entry::Entry`]s: the events that the outside sees and the transfers that they stand for.
//! Time is an argument, the same arguments give the same answer.

mod account;
pub mod adjustment;
pub mod agreement;
pub mod balance;
mod block;
pub mod by_hand;
pub mod calendar;
pub mod control;
mod currency;
mod debt_events;
pub mod decide;
pub mod deposit;
pub mod entry;
mod entry_review;
mod entry_settlement;
pub mod explain;
pub mod fact;
mod fact_key;
pub mod forecast;
pub mod hold;
pub mod ids;
pub mod limit;
pub mod make_up;
pub mod money;
pub mod order;
pub mod pause;
pub mod payout;
pub mod recovery;
pub mod release;
pub mod review;
pub mod settlement;
pub mod shadow;
pub mod statement;
mod sums;
pub mod term;
pub mod time;
pub mod write_off;
