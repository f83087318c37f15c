//! The launcher that SQLite apps trust: an app and Litestream as one unit.

#![warn(clippy::too_many_lines)]

use std::process::ExitCode;

use litekeeper::os::{digest, signal};
use litekeeper::sqlite::{check, held, repair, sentinel};

fn main() -> ExitCode {
    // Before anything else: what comes before this is lost to PID 1.
    signal::hold_all();
    let mut args = std::env::args_os().skip(1);
    let command = args.next();
    let command = command.as_deref().and_then(|command| command.to_str());
    let mut fd = || args.next().and_then(|fd| fd.into_string().ok());
    if command == Some("__shim") {
        return litekeeper::shim::main(fd().as_deref()).into();
    }
    if command.is_some_and(|command| command.starts_with("__")) {
        signal::release();
    }
    match command {
        Some("__list") => return litekeeper::replica::helper::main(fd().as_deref()).into(),
        Some("__restore") => return litekeeper::backup::reader::main(fd().as_deref()).into(),
        Some("__ledger") => return litekeeper::ledger::main(args).into(),
        Some("__extension") => {
            return litekeeper::vfs::try_it(args.next().unwrap_or_default().as_ref()).into();
        }
        Some("__query") => {
            let (job, report) = (fd(), fd());
            return litekeeper::vfs::main(job.as_deref(), report.as_deref()).into();
        }
        Some("__held") => return held::main(fd().as_deref()).into(),
        Some("__recover") => return repair::recover(args.next().unwrap_or_default().as_ref()).into(),
        Some("__check") => {
            let (file, depth) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
            return check::main(file.as_ref(), &depth.to_string_lossy()).into();
        }
        Some("__digest") => return digest::main(args.next().unwrap_or_default().as_ref()).into(),
        Some("__sentinel") => {
            let [word, database, code] = std::array::from_fn(|_| args.next().unwrap_or_default());
            return sentinel::main(&word.to_string_lossy(), database.as_ref(), &code.to_string_lossy())
                .into();
        }
        Some("__empty") => {
            let database = args.next().unwrap_or_default();
            let patience = args.next().unwrap_or_default();
            return repair::empty(database.as_ref(), &patience.to_string_lossy()).into();
        }
        _ => {}
    }
    litekeeper::cli::main().get().into()
}
