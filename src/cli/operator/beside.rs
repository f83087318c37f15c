//! `litekeeper exec -- COMMAND`: a console or a migration beside the app.

use super::args;
use super::candidate::{Candidate, Candidates};
use super::keeper;
use super::opened::{self, Opened};
use crate::cli::alone::Alone;
use crate::cli::{app_env, settings};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::printer;

/// Becomes a command, with the app's environment, user and folder, while a keeper replicates what it writes.
///
/// # Errors
/// No keeper runs; what is wrong with the settings; the command cannot be started.
pub(in crate::cli) fn exec(args: &args::Exec) -> Result<ExitCode, Failure> {
    let opened = opened::open(&args.given, None)?;
    refuse_without_keeper(&opened)?;
    let said = &opened.said;
    let mut databases = app_env::databases(&said.configured);
    let named = settings::user(&said.layers)?;
    databases.extend(app_env::replicas(&said.section, &said.cwd, named.as_ref()));
    let inherited = settings::inherited(named.as_ref());
    let env = app_env::environment(inherited, &said.layers, said.section.variables(), &databases, &said.cwd)?;
    let cwd = settings::app_folder(&said.layers, &said.cwd)?;
    let user = named.filter(|named| !named.is_current());
    if let Some((message, hint)) = user.as_ref().and_then(settings::typed_into) {
        printer::note(&format!("{message}; {hint}"));
    }
    Alone { argv: args.command.clone(), env, cwd, user }.become_it()
}

/// Refuses unless each database that the configuration names has a keeper; where it names folders alone, one of theirs.
fn refuse_without_keeper(opened: &Opened) -> Result<(), Failure> {
    let inventory = opened.inventory();
    let all = Candidates::look(opened, &inventory)?.all()?;
    let (named, found): (Vec<Candidate>, Vec<Candidate>) =
        all.into_iter().partition(|one| one.entry.is_none());
    let are_named = !named.is_empty();
    let (mut with, mut without) = (0, Vec::new());
    for one in if are_named { named } else { found } {
        match keeper::of(&one)? {
            Some(_) => with += 1,
            None => without.push(one),
        }
    }
    if !are_named && with > 0 {
        return Ok(());
    }
    if without.is_empty() { Ok(()) } else { Err(keeper::none(&without)) }
}
