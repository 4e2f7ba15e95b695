//! Tests with real Apache Kafka and real PostgreSQL.

mod agreements;
mod arrival;
mod bad_input;
mod clients;
mod debts;
mod deposits;
mod gate;
mod harness;
mod payouts;
mod processes;
mod releases;
mod statements;
mod strangers;
mod whole_way;
