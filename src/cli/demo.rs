//! `litekeeper demo`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::args;
use super::install;
use super::process::{self, current_dir, variable};
use crate::core::ExitCode;
use crate::demo::guestbook::{self, Options, Port};
use crate::demo::plan::{self, Wanted};
use crate::error::Failure;
use crate::litestream::binary::{self, Named};
use crate::litestream::install::installed;
use crate::os::{exec, open};
use crate::printer;

/// Runs the guest book under Litestream, which it gets first if need be.
///
/// # Errors
/// Why it could not be run.
pub(super) fn demo(args: &args::Demo) -> Result<ExitCode, Failure> {
    if let (true, Some(db)) = (args.app, &args.db) {
        return guest_book(args, db);
    }
    let cwd = current_dir()?;
    let program = own_program()?;
    let wanted = Wanted { dir: args.dir.clone(), port: args.port };
    let plan = plan::plan(&wanted, variable, &cwd, &program).map_err(|error| failure(&error))?;
    need_litestream(&cwd)?;
    keep_out_of_repositories(&plan.dir);
    printer::notes(&plan.text(std::process::id(), &cwd));
    let mut words: Vec<std::ffi::OsString> =
        vec![program.into(), "run".into(), "--db".into(), plan.db.into()];
    // A folder and not a URL of one, which Litestream would decode.
    words.extend(["--replica".into(), plan.replica.into(), "--".into()]);
    words.extend(plan.app);
    // A fresh process: the install's handlers and threads are none of the keeper's business.
    let error = exec::execute(&exec::Command { argv: words, env: process::environment() });
    Err(Failure::new(ExitCode::LITESTREAM, format!("litekeeper cannot start itself: {error}")))
}

/// This program, which is the guest book as well.
pub(super) fn own_program() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|error| Failure::new(ExitCode::LITESTREAM, format!("litekeeper's own program: {error}")))
}

/// Gets Litestream, if there is none.
pub(super) fn need_litestream(cwd: &Path) -> Result<(), Failure> {
    if binary::find(Named::default(), &variable, cwd, installed(variable), None).is_err() {
        printer::note("litestream is not here yet: getting it (once)");
        let got = install::get_default()?;
        printer::note(&format!("litestream {} is in {}", got.version, got.path.display()));
    }
    Ok(())
}

/// A folder that the demo makes is nobody's to commit. One that is there already is somebody's own, and stays as it is.
fn keep_out_of_repositories(dir: &Path) {
    // What is wrong with the folder is said by the keeper, which has to write there too.
    let _ = dir.parent().map(fs::create_dir_all);
    if fs::create_dir(dir).is_ok() {
        let file = open::make(&dir.join(".gitignore"));
        let _ = file.and_then(|mut file| file.write_all(b"*\n"));
    }
}

fn guest_book(args: &args::Demo, db: &Path) -> Result<ExitCode, Failure> {
    let port = variable("PORT").and_then(|port| port.into_string().ok());
    let port = Port::chosen(args.port, port.as_deref()).map_err(|error| failure(&error))?;
    guestbook::serve(&Options { db: db.to_owned(), port }).map_err(|error| failure(&error))?;
    Ok(ExitCode::OK)
}

/// What is wrong with the guest book, as the end of a command.
pub(super) fn failure(error: &guestbook::Error) -> Failure {
    Failure::new(ExitCode::UNAVAILABLE, error.to_string()).hinted(error.hint())
}
