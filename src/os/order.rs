//! What a process of our own is told: an order in memory that it was given under a descriptor ([`fd::memory`]), and its answer on
//! standard output.

use std::io::Write as _;

use super::fd;
use crate::core::ExitCode;

/// Has `work` do what the memory under this descriptor says, and prints its answer; the exit code is for the process.
pub fn carry_out(order: Option<&str>, work: impl FnOnce(&[u8]) -> Result<Vec<u8>, String>) -> u8 {
    let order = order.and_then(|number| number.parse().ok()).map(fd::adopt);
    let Some(Ok(order)) = order else {
        eprintln!("error: this command is litekeeper's own, and is started by it");
        return ExitCode::USAGE.get();
    };
    match fd::read_memory(order).map_err(|error| error.to_string()).and_then(|order| work(&order)) {
        Ok(answer) => u8::from(std::io::stdout().write_all(&answer).is_err()),
        Err(reason) => {
            eprintln!("{reason}");
            1
        }
    }
}
