//! holdback keeps merchants' money back between order systems and payout systems,
//! and releases it on the settlement date when nothing stands in the way.
//!
//! ```text
//!  order-completed, refund, …     ┌──────────────────── one Postgres transaction ─────────────────────┐
//!  Kafka ──▶ ingest ──▶ message ──▶ store: lock ─▶ rules::decide (pure) ─▶ holds, journal, position   │
//!           (bytes)     (parse)   └───────────────────────────────────────────────────────────────────┘
//!  clock ──▶ release ──▶ (gate) ──▶ store: claim ─▶ rules::release (pure) ─▶ holds, journal    same form
//!                                                                                 │
//!  journal, unpublished ──▶ publish ──▶ Kafka transaction ──▶ read back ──▶ published_sequence
//! ```
//!
//! Facts in, decisions by pure functions, effects in one transaction, events out of the journal.
//! Arrows point one way: `rules` ◀ `message` ◀ {`store`, `kafka`} ◀ loops ◀ `main`.

pub mod agreement;
pub mod bench;
pub mod books;
pub mod calendar_import;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod control;
pub mod demo;
pub mod http;
pub mod import;
pub mod ingest;
pub mod kafka;
pub mod loopback;
pub mod message;
pub mod operator;
pub mod planted;
pub mod preflight;
pub mod publish;
pub mod reconcile;
pub mod release;
pub mod review;
pub mod rules;
pub mod service;
pub mod simulate;
pub mod store;
pub mod telemetry;
pub mod watch;
