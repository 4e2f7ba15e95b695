//! Tests with real Apache Kafka and real PostgreSQL.

mod agreements;
mod arrival;
mod audit;
mod bad_input;
mod bookkeeping;
mod calendars;
#[path = "../corpus/cases.rs"]
#[expect(dead_code, reason = "tests/corpus uses the rest")]
mod cases;
mod clients;
mod corpus;
mod dead_letters;
mod gate;
mod harness;
mod operators;
mod payouts;
mod processes;
mod releases;
mod reviews;
mod simulated;
mod statements;
mod strangers;
mod whole_way;
