//! From the command line to an exit code.

use std::ffi::OsString;

use clap::Parser;

use super::args::{Cli, Command};
use super::operator::kept_out::KeptOut;
use super::{
    check, config, demo, given, init, install, manual, operator, reload, run, tour, typed, uninstall,
};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::os::signal;
use crate::printer::{self, Format};

/// Reads the command line and carries it out; whatever fails is shown here, and only here.
pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let command = match Cli::try_parse_from(&words) {
        Ok(cli) => cli.command,
        Err(error) => return refused(error, &words),
    };
    if !matches!(command, Command::Run(_)) {
        signal::release();
    }
    let (format, result) = carry_out(command, &words);
    let exit = result.unwrap_or_else(|failure| {
        printer::failure(&failure, format);
        failure.exit
    });
    printer::finish();
    exit
}

/// Shows why a command line is not taken, or the help that it asks for.
fn refused(mut error: clap::Error, words: &[OsString]) -> ExitCode {
    // Nobody is looked after yet, and whoever reads this may take his time.
    signal::release();
    if error.use_stderr()
        && let Err(failure) = given::refuse()
    {
        // What no shell has read is what the command line's reader complains about.
        printer::failure(&failure, Format::Text);
        return failure.exit;
    }
    if error.use_stderr() {
        typed::mask(&mut error);
        let hint = typed::hint(&mut error, words.get(1..).unwrap_or_default())
            .map(|hint| format!("\nhint: {}", foreign::line(&hint)));
        printer::notes(&format!("{}{}", error.to_string().trim_end(), hint.unwrap_or_default()));
    } else {
        // Nobody is left to tell when the output is closed.
        let _ = error.print();
    }
    ExitCode::of_app(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Carries a command out; how it wants its failure to be shown.
fn carry_out(command: Command, words: &[OsString]) -> (Format, Result<ExitCode, Failure>) {
    match command {
        Command::Run(args) => run::run(&args, words),
        Command::Config(args) => (Format::Text, config::config(&args, words)),
        Command::Check(args) => (Format::Text, check::check(&args, words)),
        Command::Restore(args) => (Format::Text, operator::restore(&args)),
        Command::Databases(args) => (Format::Text, operator::databases(&args)),
        Command::Ltx(args) => (Format::Text, operator::ltx(&args)),
        Command::Snapshots(args) => (Format::Text, operator::snapshots(&args)),
        Command::Generations(args) => (Format::Text, operator::generations(&args)),
        Command::Wal(args) => (Format::Text, operator::wal(&args)),
        Command::Info(args) => (Format::Text, operator::info(&args)),
        Command::List(args) => (Format::Text, operator::list(&args)),
        Command::Verify(args) => (Format::Text, operator::verify(&args)),
        Command::Drill(args) => (Format::Text, operator::drill(&args)),
        Command::Query(args) => (Format::Text, operator::query(&args)),
        Command::Version(args) => (Format::Text, operator::version(&args)),
        Command::Status(args) => (Format::Text, operator::status(&args)),
        Command::Healthcheck(args) => (Format::Text, operator::healthcheck(&args)),
        Command::Sync(args) => (Format::Text, operator::sync(&args)),
        Command::Wait(args) => (Format::Text, operator::wait(&args)),
        Command::Reset(args) => (Format::Text, operator::reset(&args)),
        Command::Start(args) => (Format::Text, operator::kept_out(KeptOut::Start, &args)),
        Command::Stop(args) => (Format::Text, operator::kept_out(KeptOut::Stop, &args)),
        Command::Register(args) => (Format::Text, operator::kept_out(KeptOut::Register, &args)),
        Command::Unregister(args) => (Format::Text, operator::kept_out(KeptOut::Unregister, &args)),
        Command::Exec(args) => (Format::Text, operator::exec(&args)),
        Command::Litestream(args) => (Format::Text, operator::litestream(&args)),
        Command::Completions(args) => (Format::Text, manual::completions(&args)),
        Command::Man(args) => (Format::Text, manual::man(&args)),
        Command::Demo(args) if args.tour => (Format::Text, tour::tour(&args)),
        Command::Demo(args) => (Format::Text, demo::demo(&args)),
        Command::Reload(args) => (Format::Text, reload::reload(&args)),
        Command::Install(args) => (Format::Text, install::install(&args)),
        Command::Uninstall(args) => (Format::Text, uninstall::uninstall(&args)),
        Command::Init(args) => (Format::Text, init::init(&args)),
    }
}
