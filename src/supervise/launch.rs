//! Litestream is started: what it has to copy as a whole is made ready for it, and its shim gets its configuration.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use super::databases::Unready;
use super::lease::Held;
use super::ledger;
use super::link::Link;
use super::litestream_log;
use super::message::Message;
use super::wal;
use super::world::World;
use crate::core::{Ended, ExitCode};
use crate::error::Failure;
use crate::litestream::argv;
use crate::litestream::command::{KEEPERS_OWN, Runner};
use crate::litestream::memory;
use crate::os::cgroup;
use crate::os::spawn::{Spawn, Spawned};
use crate::os::unstarted;
use crate::os::{event, fd, fork, packet, signal};
use crate::shim::{Log, ShimConfig, ToShim};

/// What the shim of a dead keeper writes to.
const STDERR: RawFd = 2;

/// How long a start waits for those who have a database open that has to be copied anew.
const EMPTYING: Duration = Duration::from_secs(2);

/// A Litestream that runs, whose shim waits for its configuration.
struct Launched {
    spawned: Spawned,
    reaped: oneshot::Receiver<Ended>,
    own: OwnedFd,
    /// Open until its configuration is sent: a shim that is gone shows as the end of its messages.
    _theirs: OwnedFd,
}

/// Makes ready what a launch has to copy as a whole, and tells of it; neither Litestream nor the app runs, so nobody is in the way.
pub(super) fn make_all_ready(world: &World, unready: Vec<Unready>) {
    let (runner, outbox, launch) = (world.runner.clone(), world.outbox.clone(), world.litestream.launches());
    let (torn, patience) = (world.torn(), world.setup.restore_timeout);
    let places = Rc::new(Semaphore::new(world.setup.restore_parallel.max(1)));
    tokio::task::spawn_local(async move {
        // With the files that it has written.
        let (mut making, mut torn) = (JoinSet::new(), torn);
        for one in unready {
            let (runner, places) = (runner.clone(), places.clone());
            let (path, torn) = (one.database.path.clone(), torn.each.remove(&one.database.path));
            making.spawn_local(async move {
                let _place = places.acquire().await;
                make_ready(&runner, one).await?;
                if let Some((config, runner)) = torn {
                    begin_anew(&runner, &path, &config, patience).await;
                }
                Ok(())
            });
        }
        let mut emptied = Ok(());
        while let Some(made) = making.join_next().await {
            emptied = emptied.and(made.unwrap_or(Ok(())));
        }
        let _ = outbox.send(Message::Emptied(launch, emptied));
    });
}

/// Starts Litestream, for which all is ready.
///
/// # Errors
/// It cannot be started.
pub(super) fn start(world: &mut World) -> Result<(), Failure> {
    try_launch(world).map_err(|error| {
        if let Some(pid) = world.litestream.gone() {
            // Its shim would wait for its configuration for ever.
            signal::send(pid, nix::libc::SIGKILL);
        }
        not_started(&world.setup.binary, error)
    })
}

/// Launches it, and its shim with it.
fn try_launch(world: &mut World) -> io::Result<()> {
    let Launched { spawned, reaped, own, _theirs } = spawn_litestream(world)?;
    let link = Link::new(own)?;
    world.litestream.runs_as(spawned.pid);
    tracing::debug!("litestream {} runs as pid {}", world.litestream.version, spawned.pid);
    let (launch, outbox) = (world.litestream.launches(), world.outbox.clone());
    let outputs = [spawned.stdout, spawned.stderr]
        .map(|pipe| tokio::task::spawn_local(litestream_log::pass_on(pipe, world.litestream.heard.clone())));
    let (children, binary) = (world.runner.children.clone(), world.setup.binary.clone());
    tokio::task::spawn_local(async move {
        if let Err(error) = event::became(spawned.verdict, fork::LIMIT).await {
            children.kill(spawned.pid);
            let _ = outbox.send(Message::NotLaunched(launch, not_started(&binary, error)));
            return;
        }
        let how = reaped.await;
        for output in outputs {
            // Its last words count; a shim that still holds the pipe must not hold this up.
            let _ = tokio::time::timeout(Duration::from_millis(100), output).await;
        }
        if let Ok(how) = how {
            let _ = outbox.send(Message::LitestreamReaped(launch, how));
        }
    });
    // Its own standard error is a pipe to this process.
    link.send_with(&ToShim::Setup, &shim_config(world), &[STDERR])?;
    world.tree.connect(link);
    Ok(())
}

fn spawn_litestream(world: &World) -> io::Result<Launched> {
    let (own, theirs) = packet::pair()?;
    let program = fd::own_program()?;
    // A descriptor and not a path: it is this very version even when the file was replaced, it
    // needs no quoting, and a user who may not see the file can execute it.
    let exec = format!("{} __shim {}", fd::path(&program).display(), fd::number(&theirs));
    let locks = world.databases.table.locks().chain([world.folder.lock().give().as_raw_fd()]);
    let memory = memory_limit(world);
    let env = world.runner.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let env: Vec<_> = env.chain(memory.as_deref().map(|bytes| (memory::VARIABLE, bytes))).collect();
    let spawn = Spawn {
        own_group: true,
        with_env: &env,
        inherit: [fd::number(&program), fd::number(&theirs)].into_iter().chain(locks).collect(),
        user: world.setup.user.as_ref(),
        without_env: KEEPERS_OWN,
        ..Spawn::default()
    };
    let spawned = spawn.start(&world.setup.binary, &argv::replicate(&world.folder.config(), &exec))?;
    let reaped = world.runner.children.watch(spawned.pid);
    world.runner.children.remember(spawned.pid);
    Ok(Launched { spawned, reaped, own, _theirs: theirs })
}

/// How many bytes this Litestream is to get along with, unless the user has told it that.
fn memory_limit(world: &World) -> Option<String> {
    let is_given = world.runner.env.iter().any(|(name, _)| name == memory::VARIABLE)
        || std::env::var_os(memory::VARIABLE).is_some_and(|value| !value.is_empty());
    let container = || cgroup::memory().map(|memory| memory.limit);
    let databases = world.databases.table.listed().len();
    let bytes = world.setup.memory.bytes(container(), databases).filter(|_| !is_given)?;
    tracing::debug!("litestream is to get along with {} MiB of memory", bytes >> 20);
    Some(bytes.to_string())
}

fn shim_config(world: &World) -> ShimConfig {
    let policy = &world.setup.policy;
    let drain = policy.drain_reserve();
    ShimConfig {
        keeper: std::process::id() as i32,
        orphan_grace: policy.orphan_grace,
        stop_signal: policy.stop_signal,
        grace: policy.stop_timeout - drain,
        drain,
        socket: world.folder.socket().into_os_string().into_vec(),
        requests: world.requests(),
        lease: world.leases.as_ref().and_then(Held::until),
        log: Log {
            json: world.setup.json_log,
            level: tracing::level_filters::LevelFilter::current().to_string(),
            app: world.tree.app_name(),
        },
    }
}

/// Has a database that Litestream would go wrong with copied as a whole.
async fn make_ready(
    runner: &Runner,
    Unready { database, whole, damaged, had }: Unready,
) -> Result<(), Failure> {
    let whole = match whole {
        Some(why) => {
            ledger::check(runner, &database, &why, damaged).await?;
            Some(why)
        }
        None => ledger::whole_for(runner, &database, None, damaged, had).await?,
    };
    match whole {
        Some(why) => wal::empty(runner, &database, &why, EMPTYING).await,
        None => Ok(()),
    }
}

/// Has Litestream make a snapshot of a database whose replica lost something in the middle: it goes on behind what is there,
/// and by itself it makes none while there is a young one, however old what that one has is.
async fn begin_anew(runner: &Runner, database: &Path, config: &Path, patience: Duration) {
    match runner.snapshot(config, patience).await {
        Ok(()) => tracing::info!("{}: its backup begins anew with a snapshot", database.display()),
        Err(why) => tracing::warn!(
            "{}: its backup lacks a part, and litestream cannot make the snapshot that would be a new beginning: {why}; it is \
             tried again at the next start",
            database.display()
        ),
    }
}

fn not_started(binary: &Path, error: io::Error) -> Failure {
    let error = unstarted::error(binary, error);
    let message = format!("`{}` cannot be started: {error}", binary.display());
    Failure::new(ExitCode::LITESTREAM, message)
        .hint("`litekeeper install` gets one that runs here, --litestream-binary names another")
}
