//! The recorder: carries streams on one machine, each by a worker process that it supervises.
pub mod clock;
pub mod session;
