//! `litekeeper verify`.

use super::args;
use super::asker::Asker;
use super::candidate;
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
    let (opened, inventory, chosen) = candidate::chosen(&args.given, &args.dbs)?;
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
    Err(Failure::all(worst.exit(), bad.into_iter().map(|bad| &bad.failure)))
}
