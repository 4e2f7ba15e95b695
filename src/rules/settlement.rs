//! Settlement dates: cycle, roll and cut-off in the agreement's zone (contract, section 5).
