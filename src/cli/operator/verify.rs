//! `litekeeper verify`.

use super::args;
use super::asker::Asker;
use super::candidate;
use super::remembered;
use super::shown::{self, Lines};
use super::turns::Turn;
use super::verdict::{Verdict, Verified};
use super::verifier::Verifier;
use crate::cli::one_shot;
use crate::core::ExitCode;
use crate::error::Failure;

/// Proves of each database that its backup restores to it.
///
/// # Errors
/// One does not; all are reported.
pub(in crate::cli) fn verify(args: &args::Verify) -> Result<ExitCode, Failure> {
    let (opened, inventory, all) = candidate::chosen(&args.given, &args.dbs)?;
    let (chosen, turn) = match args.budget {
        Some(budget) => {
            let turn = Turn::take(all, budget)?;
            (turn.now.clone(), Some(turn))
        }
        None => (all, None),
    };
    let all = one_shot::block_on(async |children| {
        let asker = Asker::start(&opened, children).await.map_err(Verdict::of_setup)?;
        let apart = asker.apart(&inventory, &chosen).map_err(Verdict::of_setup)?;
        let settings = &opened.said.layers.args;
        let verifier = Verifier::new(&asker, settings, apart, args.timeout, args.read_only);
        let all = verifier.verify_all(&chosen).await;
        verifier.clean().await;
        Ok::<_, Failure>(all)
    })??;
    let forgotten = turn.map_or(Ok(()), Turn::over).err();
    remembered::remember(&all);
    report(args, &all, forgotten.as_ref())
}

/// Prints what became of each, and ends with the worst, which `forgotten` is part of: that nobody knows whose turn is next.
fn report(args: &args::Verify, all: &[Verified], forgotten: Option<&Failure>) -> Result<ExitCode, Failure> {
    if args.json {
        shown::json(&all.iter().map(Verified::json).collect())?;
    } else {
        let mut lines = Lines::new(["DATABASE", "VERDICT", ">REPLICATED", ">RESTORED", "INTEGRITY", ">ROWS"]);
        all.iter().for_each(|one| lines.add(one.verdict().paint(), one.cells()));
        lines.print("no database")?;
    }
    let worst = all.iter().map(Verified::verdict).max().unwrap_or(Verdict::InSync);
    let bad = all.iter().filter_map(|one| one.bad.as_ref()).map(|bad| &bad.failure);
    let bad: Vec<&Failure> = bad.chain(forgotten).collect();
    if bad.is_empty() {
        return Ok(ExitCode::OK);
    }
    Err(Failure::all(worst.max(Verdict::Inconclusive).exit(), bad))
}
