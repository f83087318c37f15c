//! `litekeeper restore --follow`: Litestream itself, which goes on until it is told to stop.

use std::ffi::OsString;

use super::args;
use super::asker::{Asker, nameless};
use super::becoming::become_litestream;
use super::candidate::Candidate;
use super::opened::Opened;
use super::target::{self, Over};
use crate::cli::one_shot;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::holder::Users;
use crate::inventory::Inventory;
use crate::litestream::argv;
use crate::litestream::database::Database;

/// Becomes a Litestream that restores, and then follows what comes. Its configuration is in memory alone.
///
/// # Errors
/// This Litestream cannot, or something stands where it would write.
pub(super) fn follow(
    args: &args::Restore,
    opened: &Opened,
    inventory: &Inventory,
    chosen: &[Candidate],
    targets: &[Database],
) -> Result<ExitCode, Failure> {
    let ([one], [target], Some(_)) = (chosen, targets, &args.output) else {
        return Err(Failure::new(
            ExitCode::USAGE,
            "--follow is for one database, beside the one that is in use",
        )
        .hint("name it, and the file with -o: `litekeeper restore --follow -o copy.db app.db`"));
    };
    let (binary, version) = one_shot::block_on(async |children| {
        let asker = Asker::start(opened, children).await?;
        Ok::<_, Failure>((asker.runner.binary.clone(), asker.version))
    })??;
    if !version.follows() {
        let message = format!("litestream {version} cannot follow a backup: 0.5.9 and later can");
        return Err(Failure::new(ExitCode::USAGE, message).hint("`litekeeper install` gets one that can"));
    }
    target::refuse_led(&target.path)?;
    // One that was followed before is gone on with.
    if target.exists() {
        target::look(target, Over { if_missing: false, force: true }, &Users::now())?;
    }
    let wanted = [one.db.path.clone()].into();
    let entries: Vec<_> = one.entry.clone().into_iter().collect();
    let socket = std::path::Path::new("/nonexistent/litestream.sock");
    let Some((_, inputs)) = inventory.apart(socket, &entries, &wanted).into_iter().next() else {
        return Err(nameless(&one.db));
    };
    let mut options: Vec<OsString> = vec!["-f".into()];
    if let Some(interval) = args.follow_interval {
        options.extend(["-follow-interval".into(), format!("{}ms", interval.as_millis()).into()]);
    }
    args.parallelism.iter().for_each(|n| options.extend(["-parallelism".into(), n.to_string().into()]));
    become_litestream(opened, binary, (&inputs.config, inputs.env), |config| {
        argv::follow(config, &target.path, &one.db.path, &options)
    })
}
