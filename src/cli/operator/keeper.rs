//! What a running keeper's Litestream says: `litekeeper info` and `litekeeper list`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::args;
use super::candidate::{self, Candidate};
use super::opened::Opened;
use super::shown::{self, Lines};
use super::told;
use crate::cli::one_shot;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::holder::{self, Holder};
use crate::litestream::control::{self, Peers};
use crate::litestream::version::Version;
use crate::os::{permit, user};
use crate::printer::Paint;

/// How long a keeper has to say which Litestream it runs, after that has not answered.
const SOON: Duration = Duration::from_secs(1);
/// Since when Litestream tells of itself at a socket.
const SOCKET: (&str, Version) = ("control socket that tells this", Version::new(0, 5, 8));

/// Says which Litestream a keeper runs.
///
/// # Errors
/// No keeper runs, or its Litestream does not answer.
pub(in crate::cli) fn info(args: &args::Running) -> Result<ExitCode, Failure> {
    let (running, info) = Running::asked(args, control::info)?;
    let started = info.started_at.as_deref().and_then(shown::time);
    if args.json {
        shown::json(&json!({
            "keeper_pid": running.holder.pid,
            "litestream": {
                "version": info.version,
                "pid": info.pid,
                "started_at": started,
                "databases": info.database_count,
            },
            "socket": running.socket.to_string_lossy(),
        }))?;
        return Ok(ExitCode::OK);
    }
    let mut lines = Lines::new(["KEEPER", "LITESTREAM", "PID", "STARTED", ">DATABASES"]);
    let numbers = [shown::number(info.pid), shown::known(started), shown::number(info.database_count)];
    let first = [shown::number(running.holder.pid), shown::known(info.version)];
    lines.add(Paint::Plain, first.into_iter().chain(numbers));
    lines.print("")?;
    Ok(ExitCode::OK)
}

/// Lists the databases that a keeper's Litestream has.
///
/// # Errors
/// As [`info`].
pub(in crate::cli) fn list(args: &args::Running) -> Result<ExitCode, Failure> {
    let (_, databases) = Running::asked(args, control::list)?;
    let synced = |one: &control::Listed| one.last_sync_at.as_deref().and_then(shown::time);
    if args.json {
        let row = |one: &control::Listed| json!({"path": one.path, "status": one.status, "last_sync_at": synced(one)});
        shown::json(&databases.iter().map(row).collect())?;
        return Ok(ExitCode::OK);
    }
    let mut lines = Lines::new(["DATABASE", "STATUS", "LAST SYNC"]);
    for one in &databases {
        let (status, last) = (shown::known(one.status.clone()), shown::known(synced(one)));
        lines.add(Paint::Plain, [one.path.clone(), status, last]);
    }
    lines.print("it has no database")?;
    Ok(ExitCode::OK)
}

/// Why there is nobody to ask about these databases.
pub(super) fn none(chosen: &[Candidate]) -> Failure {
    let of = chosen.first().map_or_else(String::new, |one| one.db.path.display().to_string());
    let of = if chosen.len() == 1 { of } else { format!("any of {} databases", chosen.len()) };
    Failure::new(ExitCode::UNAVAILABLE, format!("no keeper runs on {of}"))
        .hint("`litekeeper run` starts one; `--config` or a database says which one is meant")
}

/// Why a keeper's Litestream cannot be asked, where that is for its version: the keeper knows it.
pub(super) fn too_old(
    opened: &Opened,
    chosen: &[Candidate],
    (what, since): (&str, Version),
) -> Option<Failure> {
    let told = told::ask(opened, chosen.iter().map(|one| &one.db), SOON).ok()??;
    let version = Version::parse(told.document()?.litestream.as_ref()?.version.as_deref()?)?;
    (version < since).then(|| {
        Failure::new(
            ExitCode::USAGE,
            format!("the keeper's litestream {version} has no {what}: litestream {since} has"),
        )
        .hint("`litekeeper status` tells what can be seen of this one; `litekeeper install` gets a newer one")
    })
}

/// What the keeper that runs on a database has left in its lock.
///
/// # Errors
/// As [`holder::now`].
pub(super) fn of(one: &Candidate) -> Result<Option<Holder>, Failure> {
    Ok(holder::now(&one.db)?.map(|(holder, _)| holder).filter(|holder| !holder.is_restore))
}

/// A keeper that runs on one of the databases.
pub(super) struct Running {
    /// What it left in the lock.
    pub(super) holder: Holder,
    /// Its Litestream's control socket.
    pub(super) socket: PathBuf,
}

impl Running {
    /// Finds the first that runs on what is meant.
    ///
    /// # Errors
    /// None does.
    fn find(args: &args::Running) -> Result<(Self, Opened, Vec<Candidate>), Failure> {
        let (opened, _, chosen) = candidate::chosen(&args.given, args.db.as_slice())?;
        for one in &chosen {
            if let Some(running) = Self::on(one)? {
                return Ok((running, opened, chosen));
            }
        }
        Err(none(&chosen))
    }

    /// Asks the Litestream of that one.
    ///
    /// # Errors
    /// None does, or its Litestream does not answer, or has not what is asked for.
    fn asked<T>(
        args: &args::Running,
        ask: impl AsyncFnOnce(&Path, Duration, Peers) -> Result<T, control::Error>,
    ) -> Result<(Self, T), Failure> {
        let (running, opened, chosen) = Self::find(args)?;
        match running.ask(args.timeout, ask) {
            Ok(answer) => Ok((running, answer)),
            Err(failure) => Err(too_old(&opened, &chosen, SOCKET).unwrap_or(failure)),
        }
    }

    /// The one that runs on a database.
    ///
    /// # Errors
    /// As [`holder::now`].
    pub(super) fn on(one: &Candidate) -> Result<Option<Self>, Failure> {
        Ok(of(one)?.and_then(Self::of))
    }

    /// The one that has a lock.
    pub(super) fn of(holder: Holder) -> Option<Self> {
        let socket = holder.socket.clone()?;
        Some(Self { holder, socket })
    }

    /// Who is believed at its socket: root may ask whose keeper it likes; what another user says is not believed.
    pub(super) fn peers(&self) -> Peers {
        let owner = permit::theirs(|| Ok(user::owner(&self.socket))).ok().flatten();
        let own = user::own_number();
        Peers::new(move |peer| holder::is_believed(peer, own, owner))
    }

    /// Asks its Litestream.
    fn ask<T>(
        &self,
        limit: Duration,
        ask: impl AsyncFnOnce(&Path, Duration, Peers) -> Result<T, control::Error>,
    ) -> Result<T, Failure> {
        let asked = one_shot::block_on(|_| ask(&self.socket, limit, self.peers()))?;
        asked.map_err(|error| {
            Failure::new(ExitCode::UNAVAILABLE, format!("{}: {error}", self.socket.display()))
                .hint("its keeper is starting, is ending, or runs in another container: ask there")
        })
    }
}
