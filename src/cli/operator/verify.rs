//! `litekeeper verify`.

use std::collections::BTreeSet;

use super::args;
use super::asker::{self, Asker};
use super::candidate::Candidates;
use super::opened;
use super::shown::{self, Lines};
use super::verdict::{Bad, Verdict, Verified};
use super::verifier::Verifier;
use crate::cli::one_shot;
use crate::core::ExitCode;
use crate::error::Failure;

/// Proves of each database that its backup restores to it.
///
/// # Errors
/// One does not; all are reported.
pub(in crate::cli) fn verify(args: &args::Verify) -> Result<ExitCode, Failure> {
    let opened = opened::open(&args.given, None)?;
    let inventory = opened.inventory(asker::series(&opened));
    let chosen = Candidates::look(&opened, &inventory)?.choose(&args.dbs)?;
    let all = one_shot::block_on(async |children| {
        let asker = Asker::start(&opened, children).await?;
        let apart = asker.apart(&inventory, &chosen)?;
        let settings = &opened.said.layers.args;
        let verifier = Verifier::new(&asker, settings, apart, args.timeout, args.read_only);
        let all = verifier.verify_all(&chosen).await;
        verifier.clean().await;
        Ok::<_, Failure>(all)
    })??;
    report(args, &all)
}

fn report(args: &args::Verify, all: &[Verified]) -> Result<ExitCode, Failure> {
    if args.json {
        shown::json(&all.iter().map(Verified::json).collect())?;
    } else {
        let mut lines = Lines::new(["DATABASE", "VERDICT", ">REPLICATED", ">RESTORED", "INTEGRITY", ">ROWS"]);
        all.iter().for_each(|one| lines.add(one.verdict().paint(), one.cells()));
        lines.print("no database")?;
    }
    let worst = all.iter().map(Verified::verdict).max().unwrap_or(Verdict::InSync);
    let bad: Vec<&Bad> = all.iter().filter_map(|one| one.bad.as_ref()).collect();
    if bad.is_empty() {
        return Ok(ExitCode::OK);
    }
    let hints: BTreeSet<&str> = bad.iter().filter_map(|bad| bad.failure.hint.as_deref()).collect();
    let messages = bad.iter().flat_map(|bad| bad.failure.message.split('\n'));
    let failure = Failure::lines(worst.exit(), messages);
    Err(match hints.is_empty() {
        true => failure,
        false => failure.hint(hints.into_iter().collect::<Vec<_>>().join("; ")),
    })
}
