//! Tests with real Apache Kafka and real PostgreSQL.

mod adjustments;
mod agreements;
mod arrival;
mod audit;
mod bad_input;
mod bookkeeping;
mod calendars;
mod clients;
mod debts;
mod deposits;
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
