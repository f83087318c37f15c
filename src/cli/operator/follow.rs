//! `litekeeper restore --follow`: Litestream itself, which goes on until it is told to stop.

use std::ffi::OsString;

use super::args;
use super::asker::Asker;
use super::candidate::Candidate;
use super::opened::Opened;
use super::target::{self, Over};
use crate::cli::one_shot;
use crate::cli::process;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::holder::Users;
use crate::inventory::Inventory;
use crate::litestream::argv;
use crate::litestream::database::Database;
use crate::os::exec::{self, Command};
use crate::os::user::Identity;
use crate::os::{fd, signal, unstarted};
use crate::printer;

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
    // One that was followed before is gone on with.
    if target.exists() {
        target::look(target, Over { if_missing: false, force: true }, &Users::now())?;
    }
    let wanted = [one.db.path.clone()].into();
    let entries: Vec<_> = one.entry.clone().into_iter().collect();
    let socket = std::path::Path::new("/nonexistent/litestream.sock");
    let Some((_, inputs)) = inventory.apart(socket, &entries, &wanted).into_iter().next() else {
        let message = format!("{}: its name is no UTF-8", one.db.path.display());
        return Err(Failure::new(ExitCode::CONFIG, message).hint("name it by its replica's URL"));
    };
    let passed = fd::memory(inputs.config.as_bytes()).and_then(fd::pass_on).map_err(|error| {
        Failure::new(ExitCode::LITESTREAM, format!("litestream's configuration: {error}"))
            .hint("free some memory")
    })?;
    let mut options: Vec<OsString> = vec!["-f".into()];
    if let Some(interval) = args.follow_interval {
        options.extend(["-follow-interval".into(), format!("{}ms", interval.as_millis()).into()]);
    }
    args.parallelism.iter().for_each(|n| options.extend(["-parallelism".into(), n.to_string().into()]));
    let config = format!("/proc/self/fd/{passed}");
    let mut argv: Vec<OsString> = vec![binary.into_os_string()];
    argv.extend(argv::follow(config.as_ref(), &target.path, &one.db.path, &options));
    let mut env = process::environment();
    let of_user = opened.user.as_ref().map(Identity::variables).into_iter().flatten();
    let of_user = of_user.map(|(name, value)| (OsString::from(name), value));
    let secrets = inputs.env.into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    for (name, value) in of_user.chain(secrets) {
        env.retain(|(known, _)| *known != name);
        env.push((name, value));
    }
    if let Some(user) = &opened.user {
        user.become_it().map_err(|error| {
            Failure::new(ExitCode::CONFIG, format!("user {}: {error}", user.uid))
                .hint("it takes CAP_SETUID and CAP_SETGID, or to be that user")
        })?;
    }
    printer::finish();
    signal::reset_for_exec(signal::ignored_at_start(), true);
    let command = Command { argv, env };
    let error = exec::execute(&command);
    let refused = unstarted::explain(&command, None, &error);
    Err(Failure::new(ExitCode::LITESTREAM, refused.to_string())
        .hint("`litekeeper install` gets one that runs here"))
}
