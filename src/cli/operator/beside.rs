//! `litekeeper exec -- COMMAND`: a console or a migration beside the app.

use std::ffi::OsString;

use super::args;
use super::candidate::{Candidate, Candidates};
use super::keeper;
use super::opened::{self, Opened};
use super::wait::SOCKET;
use crate::cli::alone::Alone;
use crate::cli::{app_env, settings};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::holder::Holder;
use crate::printer;

/// Becomes a command, with the app's environment, user and folder, while a keeper replicates what it writes.
///
/// # Errors
/// No keeper runs; what is wrong with the settings; the command cannot be started.
pub(in crate::cli) fn exec(args: &args::Exec) -> Result<ExitCode, Failure> {
    let opened = opened::open(&args.given, None)?;
    let keeper = refuse_without_keeper(&opened)?;
    let said = &opened.said;
    let mut databases = app_env::databases(&said.configured);
    let named = settings::user(&said.layers)?;
    databases.extend(app_env::replicas(&said.section, &said.cwd, named.as_ref()));
    let inherited = settings::inherited(named.as_ref());
    let env = app_env::environment(inherited, &said.layers, said.section.variables(), &databases, &said.cwd)?;
    let socket = keeper.keeper.map(|socket| (OsString::from(SOCKET), socket.into_os_string()));
    let env = env.into_iter().filter(|(name, _)| name != SOCKET).chain(socket).collect();
    let cwd = settings::app_folder(&said.layers, &said.cwd)?;
    let user = named.filter(|named| !named.is_current());
    if let Some((message, hint)) = user.as_ref().and_then(settings::typed_into) {
        printer::note(&format!("{message}; {hint}"));
    }
    Alone { argv: args.command.clone(), env, cwd, user }.become_it()
}

/// Refuses unless each database that the configuration names has a keeper; where it names folders alone, one of theirs. The first of
/// these keepers.
fn refuse_without_keeper(opened: &Opened) -> Result<Holder, Failure> {
    let inventory = opened.inventory();
    let all = Candidates::look(opened, &inventory)?.all()?;
    let (named, found): (Vec<Candidate>, Vec<Candidate>) =
        all.into_iter().partition(|one| one.entry.is_none());
    let are_named = !named.is_empty();
    let (mut first, mut without) = (None, Vec::new());
    for one in if are_named { named } else { found } {
        match keeper::of(&one)? {
            Some(holder) => first = first.or(Some(holder)),
            None => without.push(one),
        }
    }
    match first {
        Some(first) if !are_named || without.is_empty() => Ok(first),
        Some(_) | None => Err(keeper::none(&without)),
    }
}
