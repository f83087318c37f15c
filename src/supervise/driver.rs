//! The loop: the only `select!` of the program.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::beforehand;
use super::control_socket;
use super::database_lock::{self, Source};
use super::ending::Ending;
use super::keeper_socket;
use super::lease;
use super::manager::Unit;
use super::message::Message;
use super::runtime_folder::RuntimeFolder;
use super::setup::{Looked, Setup};
use super::status;
use super::table::DatabaseTable;
use super::web::Web;
use super::workplace::Workplace;
use super::world::World;
use crate::core::{Db, Event, ExitCode, Machine};
use crate::error::Failure;
use crate::litestream::command::Runner;
use crate::litestream::others::Others;
use crate::os::children::Children;
use crate::os::outlet::Outlet;
use crate::os::signal::{Sender, Signals};
use crate::os::{event, fd, limit, needs, oom_score, open, permit, signal, spawn};

/// How often the database files are looked at while the app runs.
const LOOK: Duration = Duration::from_secs(1);
/// So much later than it wanted to be woken, this process was not only busy: somebody has stopped it.
const AWAY: Duration = Duration::from_secs(1);
/// How often adopted processes are looked for while they are being killed.
const SWEEP: Duration = Duration::from_millis(10);
/// How often the databases are looked at while something of an app is left whose leader is gone: more
/// often than Litestream does.
const LEFTOVERS: Duration = Duration::from_millis(10);

/// Runs the app under Litestream until both have ended, with a log whose reader may be slow; returns the exit code.
///
/// # Errors
/// Why the app could not be run.
pub fn supervise(mut setup: Setup, log: &'static Outlet) -> Result<ExitCode, Failure> {
    crate::os::user::hide_from_others();
    if let Some(needs::Missing { what, hint }) = needs::missing() {
        let message = format!("this system has {what}");
        return Err(Failure::new(ExitCode::CONFIG, message).hint(hint));
    }
    let children = Children::new();
    permit::belong_to(setup.user.as_ref());
    // What came since the first moment of `main` is among them.
    let signals = Signals::take_all().map_err(os("signals"))?;
    let listening = std::mem::take(&mut setup.listen_fds);
    let workplace = Workplace::open(setup.cwd.take())?;
    // What else this process was left with is not Litestream's.
    fd::close_on_exec_from(3);
    limit::raise_open_files();
    oom_score::lower();
    if std::process::id() != 1 {
        spawn::adopt_orphans().map_err(os("subreaper"))?;
    }
    // One thread: PR_SET_PDEATHSIG belongs to the thread that forks, and no signal mask can differ.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.map_err(os("event loop"))?;
    LocalSet::new().block_on(&runtime, async {
        let signals = event::signals(signals).map_err(os("event loop"))?;
        tokio::task::spawn_local(log.go_on());
        let (driver, inbox) = begin(setup, (listening, workplace), children, &signals).await?;
        driver.run(&signals, inbox).await
    })
}

/// What the system said of this.
fn os(what: &str) -> impl FnOnce(std::io::Error) -> Failure {
    let what = what.to_owned();
    move |error: std::io::Error| Failure::new(ExitCode::LITESTREAM, format!("{what}: {error}"))
}

/// Makes the folder of the run, takes the locks, and what else there has to be before anything is started.
async fn begin(
    setup: Setup,
    (listening, workplace): (Vec<OwnedFd>, Workplace),
    children: Children,
    signals: &AsyncFd<Signals>,
) -> Result<(Driver, mpsc::UnboundedReceiver<Message>), Failure> {
    let folder =
        RuntimeFolder::make(&setup.runtime_roots, setup.user.as_ref())?.with_socket(setup.socket.clone())?;
    let source = folder.write_source(setup.configuration.as_deref());
    source.map_err(os("the runtime folder"))?;
    // Before any lock: what is named after a path that is none fails otherwise than the path itself.
    (setup.faults)(Looked::Configured)?;
    beforehand::refuse(&setup, &workplace)?;
    let interrupted = || signals.get_ref().take().and_then(|received| stop_code(received.number));
    let patience = setup.policy.stop_timeout * 2;
    let locks = database_lock::lock_all(
        &setup.dbs,
        &folder.socket(),
        &folder.keeper_socket(),
        Source::Operator,
        (patience, setup.on_lock),
        interrupted,
    )
    .await?;
    if let Some((_, failure)) = database_lock::other_litestream(&Others::now(), (0..).map(Db).zip(&setup.dbs))
    {
        return Err(failure);
    }
    database_lock::make_watched(&setup.folders)?;
    control_socket::check_free(&folder.socket()).await?;
    let inputs = setup.inventory.generate(&folder.socket(), &[]);
    folder.write_config(&inputs.config).map_err(os(&folder.config().display().to_string()))?;
    let (outbox, inbox) = mpsc::unbounded_channel();
    let runner = Runner {
        binary: setup.binary.clone(),
        user: setup.user.clone(),
        children,
        env: Rc::new(inputs.env),
        inherit: Vec::new(),
    };
    let web = Web::open(&setup.http, outbox.clone())?;
    keeper_socket::listen(&folder, outbox.clone(), web)
        .map_err(os(&folder.keeper_socket().display().to_string()))?;
    let leases = lease::of(&setup, &locks, &runner, &folder)?;
    let table = DatabaseTable::new(&setup.dbs, locks);
    let mut world = World::new(setup, folder, table, (listening, workplace), runner, outbox);
    world.write_elsewhere().map_err(os("runtime folder"))?;
    world.leases = leases;
    Ok((Driver::new(world), inbox))
}

fn stop_code(number: i32) -> Option<ExitCode> {
    matches!(number, nix::libc::SIGTERM | nix::libc::SIGINT).then(|| ExitCode::of_signal(number))
}

/// The machine and the world that it acts on.
pub(super) struct Driver {
    pub(super) machine: Machine,
    pub(super) world: World,
    /// When it wanted to be woken at the latest.
    wakes: Option<Instant>,
}

impl Driver {
    fn new(world: World) -> Self {
        let seed = std::process::id().into();
        Self { machine: Machine::new(world.setup.policy.clone(), seed), world, wakes: None }
    }

    async fn run(
        mut self,
        signals: &AsyncFd<Signals>,
        mut inbox: mpsc::UnboundedReceiver<Message>,
    ) -> Result<ExitCode, Failure> {
        self.handle(Event::Start);
        let follows = self.world.databases.follows.every().unwrap_or(LOOK);
        let every = LOOK.min(self.world.setup.policy.max_lag / 4).min(follows).max(Duration::from_millis(50));
        let mut look = tokio::time::interval(every);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            while let Some(action) = self.machine.poll_action() {
                if let Some((code, cause)) = self.perform(action) {
                    return Ending::new(self.world, signals).end(code, cause).await;
                }
            }
            self.settle_rounds();
            self.world.tell_changes();
            self.tell_of_waits();
            self.tell_manager();
            let due = self.machine.poll_timeout();
            let looks = self.world.databases.is_watching().then(|| Instant::now() + every);
            let over = self.world.waits.next();
            self.wakes = due.into_iter().chain(looks).min();
            let word = self.world.notices.manager.due();
            let (sweeping, leftovers) = (self.world.tree.is_swept(), self.world.tree.has_leftovers());
            tokio::select! {
                biased;
                ready = signals.readable() => {
                    if let Ok(mut ready) = ready {
                        self.take_signals(signals.get_ref());
                        ready.clear_ready();
                    }
                }
                message = self.world.tree.shim_says() => self.take_shim_message(message),
                () = self.world.tree.shim_dies() => self.shim_died(),
                Some(message) = inbox.recv() => self.take_message(message),
                () = until(due) => {
                    self.notice_absence();
                    self.machine.handle_timeout(Instant::now());
                }
                () = until(over) => self.end_waits(Instant::now()),
                // What is told is told above.
                () = until(word) => {}
                () = tokio::time::sleep(SWEEP), if sweeping => self.sweep(),
                () = tokio::time::sleep(LEFTOVERS), if leftovers => self.scan_for_leftovers(),
                _ = look.tick(), if self.world.databases.is_watching() => {
                    self.notice_absence();
                    self.look_again();
                }
            }
        }
    }

    pub(super) fn handle(&mut self, event: Event) {
        self.notice_absence();
        self.machine.handle(Instant::now(), event);
    }

    /// A loop that hangs does not come here, which the manager's watchdog notices.
    fn tell_manager(&mut self) {
        if !self.world.notices.manager.is_there() {
            return;
        }
        let now = Instant::now();
        let unit = self.machine.status(now);
        let unit = Unit {
            phase: unit.phase,
            told: status::in_words(&self.world, &unit),
            stops_within: unit.stops_within,
            is_limited: unit.is_limited,
            reloads: self.world.discovery.rounds.is_waited_for(),
        };
        self.world.notices.manager.turn(now, unit);
    }

    /// A job that was stopped, or a machine that stood still, asked nobody anything in that time.
    fn notice_absence(&mut self) {
        let now = Instant::now();
        let late = self.wakes.take().map_or(Duration::ZERO, |wakes| now.saturating_duration_since(wakes));
        if late > AWAY {
            tracing::debug!("this process did not run for {} s", late.as_secs());
            self.machine.handle(now, Event::WasAway(late));
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// The name of whoever sent a signal, for the log.
pub(super) fn sender_name(sender: Sender) -> String {
    match sender {
        Sender::Kernel => "the terminal or the kernel".to_owned(),
        Sender::Outside => "outside of this container".to_owned(),
        Sender::Process(pid) => match open::kernel_text(format!("/proc/{pid}/comm")) {
            Ok(name) => format!("pid {pid} ({})", name.trim_end()),
            Err(_) => format!("pid {pid}"),
        },
    }
}

/// The name of a signal with the prefix that people search for.
pub(super) fn signal_name(number: i32) -> String {
    format!("SIG{}", signal::name(number))
}
