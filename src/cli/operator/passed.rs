//! `litekeeper litestream -- ARGS`: anything of Litestream's, with what it needs.

use std::ffi::OsString;
use std::time::Duration;

use super::args;
use super::asker::Asker;
use super::becoming::become_litestream;
use super::candidate::Candidates;
use super::kept_out::KeptOut;
use super::opened::{self, Opened};
use crate::cli::one_shot;
use crate::config::Series;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::holder;

/// As long as Litestream itself waits for a database at its end.
const SHUTDOWN_SYNC: Duration = Duration::from_secs(30);

/// Becomes Litestream: its exit code, its signals and its terminal are its own. It reads its configuration from memory, so
/// that nothing is left behind, and secrets are in its environment alone.
///
/// # Errors
/// What is wrong with the settings; it would be in the way of a keeper; it cannot be started.
pub(in crate::cli) fn litestream(args: &args::Litestream) -> Result<ExitCode, Failure> {
    let opened = opened::open(&args.given, None)?;
    refuse_beside_keeper(&opened, &args.args)?;
    let asker = one_shot::block_on(|children| Asker::start(&opened, children))??;
    let series = Series::of(asker.version.is_ltx());
    let inputs = opened.said.configured.generate_alone(series, SHUTDOWN_SYNC);
    let binary = asker.runner.binary.clone();
    // Its folder goes here: this process is none that comes back.
    drop(asker);
    become_litestream(&opened, binary, (&inputs.text, inputs.env), |_| args.args.clone())
}

/// Whether a command does to a database what only its keeper may do: it replicates, forgets how far that has got, or puts another
/// file in the place of the one that an app has open.
fn is_in_the_way(words: &[OsString]) -> bool {
    let has = |option: &str| {
        let is_it = |word: &str| word.trim_start_matches('-').split('=').next() == Some(option);
        words.iter().any(|word| word.to_str().is_some_and(|word| word.starts_with('-') && is_it(word)))
    };
    match words.first().and_then(|word| word.to_str()) {
        Some("replicate" | "reset") => true,
        Some("restore") => has("force"),
        Some(_) | None => false,
    }
}

/// Refuses that while a keeper runs on a database of the configuration, and what its Litestream may not be told by its socket.
fn refuse_beside_keeper(opened: &Opened, words: &[OsString]) -> Result<(), Failure> {
    let command = words.first().and_then(|word| word.to_str()).unwrap_or_default();
    let kept_out = KeptOut::named(command);
    if kept_out.is_none() && command != "sync" && !is_in_the_way(words) {
        return Ok(());
    }
    let inventory = opened.inventory();
    // Without a database there is nobody in the way of whom it could be.
    let Ok(all) = Candidates::look(opened, &inventory)?.all() else { return Ok(()) };
    let mut held = Vec::new();
    for one in &all {
        held.extend(holder::now(&one.db)?.map(|(holder, _)| (one, holder)));
    }
    match held.into_iter().next() {
        None => Ok(()),
        Some(_) if command == "sync" => {
            let message = "a keeper's litestream is asked to sync by `litekeeper sync`: one that waits as its first word can lose rows";
            Err(Failure::new(ExitCode::USAGE, message)
                .hint("`litekeeper sync --wait` asks for the local half first"))
        }
        Some((one, holder)) => Err(kept_out.map_or_else(|| holder.refusal(&one.db), KeptOut::refusal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_of_a_keeper() {
        let is = |words: &str| is_in_the_way(&words.split(' ').map(OsString::from).collect::<Vec<_>>());
        for words in [
            "replicate",
            "replicate -once",
            "reset app.db",
            "restore -force app.db",
            "restore --force=true app.db",
        ] {
            assert!(is(words), "{words}");
        }
        for words in ["", "databases", "restore -o force app.db", "ltx app.db", "version"] {
            assert!(!is(words), "{words}");
        }
    }
}
