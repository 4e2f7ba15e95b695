//! What `holdback demo` and the tests start by themselves: a local PostgreSQL and a broker stand-
//! in.
//!
//! Guarantees that nothing started here outlives the process that started it.

pub mod binaries;
pub mod broker;
pub mod child;
pub mod postgres;
