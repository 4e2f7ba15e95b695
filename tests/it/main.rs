//! Tests with real Apache Kafka and real PostgreSQL.

mod adjustments;
mod agreements;
mod arrival;
mod audit;
mod bad_input;
mod bookkeeping;
mod bounds;
mod calendars;
#[path = "../corpus/cases.rs"]
#[expect(dead_code, reason = "tests/corpus uses the rest")]
mod cases;
mod clients;
mod controls;
mod corpus;
mod dead_letters;
mod debts;
mod deposits;
mod gate;
mod growth;
#[expect(dead_code, reason = "tests/faults share it, and use other parts")]
mod harness;
mod imported;
mod limits;
mod operators;
mod payouts;
mod processes;
mod reconciled;
mod releases;
mod reviews;
mod security;
mod shadow;
mod shards;
mod simulated;
mod statements;
mod stopping;
mod strangers;
mod whole_way;
