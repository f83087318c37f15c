//! Asking Litestream again while nobody answers at a replica: of the clients in it some try for minutes by themselves, and others
//! give up at once.

use std::cell::Cell;
use std::ffi::OsString;
use std::time::Duration;

use super::error::Error;
use super::watched;
use crate::litestream::command::{self, Output, Runner};
use crate::litestream::database::Database;
use crate::replica::again::Patience;

/// Asks Litestream about a replica, as often as it takes within the limit. Is that over while it is asked, what was said
/// before is the answer.
///
/// # Errors
/// It gave none, or will give none.
pub(super) async fn ask(
    runner: &Runner,
    db: &Database,
    args: &[OsString],
    limit: Duration,
) -> Result<Output, Error> {
    let (mut patience, mut before) = (Patience::new(limit), None);
    loop {
        let left = if before.is_some() { patience.left() } else { limit };
        let any = Cell::new(false);
        let asked = match watched::ask(runner, db, &any, runner.ask(args, left)).await {
            Ok(asked) => asked,
            Err(reason) => return Err(Error::refused(db, reason)),
        };
        let output = match (asked, before) {
            (Err(command::Error::Timeout(_)), Some(before)) => return Ok(before),
            (Ok(output), _) => output,
            (Err(error), _) => return Err(Error::of_command(db, error).explained(runner, db).await),
        };
        match output.answer() {
            Err(reason) if patience.waits(db, &reason).await => before = Some(output),
            Ok(_) | Err(_) => return Ok(output),
        }
    }
}
