//! The policy, as a value: no tokio, no files, no processes, no clock, no environment.

mod exit;

pub use exit::ExitCode;
