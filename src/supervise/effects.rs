//! What the machine and the reconciliation have decided, carried out.

use std::io;

use super::app_tree::Running;
use super::driver::Driver;
use super::launch;
use super::message::Message;
use super::round;
use super::setup::IfBehind;
use super::steps::{self, Next};
use super::tenants::Tenant;
use crate::core::{Action, Cause, Ended, Event, ExitCode, NotStarted, Turn};
use crate::error::Failure;
use crate::shim::{Target, ToShim};

impl Driver {
    /// Has the reconciliation decide what follows, and does it.
    pub(super) fn turn(&mut self, turn: Turn<Tenant>) {
        self.decide(turn);
        // The looks that begin together ask once.
        let mut others = None;
        while let Some(step) = self.world.discovery.tenants.poll_step() {
            for next in steps::take(&mut self.world, step, &mut others) {
                match next {
                    Next::Event(event) => self.handle(event),
                    Next::Turn(turn) => self.decide(turn),
                }
            }
        }
    }

    fn decide(&mut self, turn: Turn<Tenant>) {
        self.world.discovery.tenants.handle(self.machine.moment(), turn);
    }

    /// Carries out one action; the exit code, and whose it is, once all is over.
    pub(super) fn perform(&mut self, action: Action) -> Option<(ExitCode, Cause)> {
        let world = &mut self.world;
        match action {
            Action::Prepare => world.prepare(),
            Action::Restore => world.restore(),
            Action::Abort => world.runner.children.abort(),
            Action::Launch => {
                self.turn(Turn::Relaunched);
                self.launch();
            }
            Action::OpenGate => world.open_gate(&self.machine.gated().collect()),
            Action::CloseGate => world.close_gate(),
            Action::StartBefore(place) => self.start(Running::Before(place)),
            Action::StartApp => {
                world.databases.app_starts();
                world.used.mark(&world.databases.table.listed());
                // What was restored has no position of its own either.
                world.litestream.heard.strange.borrow_mut().clear();
                self.start(Running::App);
            }
            Action::SignalApp(number) => world.tree.tell_shim(&ToShim::Signal(Target::Leader, number)),
            Action::SignalTree(number) => world.tree.tell_shim(&ToShim::Signal(Target::Tree, number)),
            Action::KillTree if world.tree.is_connected() => {
                let listed = world.databases.table.listed();
                let paths = listed.iter().map(|(_, database)| database.path.clone());
                world.tree.hold_and_kill(paths.collect(), &world.outbox);
            }
            // Nobody is there to do it: what the app left was adopted by this process.
            Action::KillTree => world.tree.sweep(),
            Action::KillShim => world.tree.kill_shim(world.litestream.pid()),
            Action::Resolve => round::ask(world),
            Action::Register(db) => world.register(db),
            Action::Unregister(db) => world.unregister(db),
            Action::Cancel(db) => world.cancel(db),
            Action::Forget(db) => self.turn(Turn::Forgotten(db)),
            Action::PutOff(db) => self.turn(Turn::PutOff(db)),
            Action::Confirm(db) => {
                let question = world.waits.ask(db);
                if let Some(database) = world.databases.table.get(db) {
                    let asking = world.client().confirm(db, question, database.clone(), world.running());
                    tokio::task::spawn_local(asking);
                }
            }
            Action::Drain => self.drain(),
            Action::CloseDrain => world.close_drain(),
            Action::Release => {
                world.databases.released();
                world.litestream.heard.unclean.set(false);
                world.tree.tell_shim(&ToShim::Release);
            }
            // What it is to copy was still being made ready: nobody is there whose end would come.
            Action::KillLitestream if !world.litestream.kill() => {
                let killed = Ended::Signal(nix::libc::SIGKILL);
                world.tell(Message::LitestreamReaped(world.litestream.launches(), killed));
            }
            Action::KillLitestream => {}
            Action::Ready(true) => world.notices.manager.is_ready(),
            // The next turn says why.
            Action::Ready(false) => {}
            Action::Note(note) => world.note(&note),
            Action::Exit(code, cause) => return Some((code, cause)),
        }
        None
    }

    fn drain(&mut self) {
        // The last look may be a while ago.
        self.look(true);
        let written = self.world.discovery.written_outside();
        self.turn(Turn::Draining { written });
        self.world.databases.proofs.stop();
        let all = self.world.databases.table.listed();
        self.world.drain(self.world.discovery.drained_now(all));
    }

    fn start(&mut self, running: Running) {
        if running == Running::App
            && let Some(failure) = self.world.databases.without_one(&self.world.setup.folders)
        {
            self.world.notices.hold_up(Cause::NotStarted, failure);
            return self.handle(Event::AppNotStarted(NotStarted::WithoutDatabase));
        }
        let Err(error) = self.world.tree.start(running) else { return };
        // A shim that was killed just now: its end is on its way to the machine.
        if !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) {
            tracing::error!("the app cannot be handed to the shim: {error}");
            self.handle(Event::AppNotStarted(NotStarted::NotExecutable));
        }
    }

    fn launch(&mut self) {
        let again = self.world.litestream.launches() > 0;
        if again {
            for db in self.world.databases.removed_tenants() {
                self.went(db);
            }
        }
        let world = &mut self.world;
        if world.setup.policy.resolves {
            world.write_config();
        }
        world.databases.table.is_told();
        world.litestream.launch();
        world.notices.relaunched();
        world.waits.relaunched();
        world.discovery.abort_registrations();
        world.databases.proofs.stop();
        // The first one has just looked.
        if again && let Some(failure) = world.databases.without_one(&world.setup.folders) {
            return world.tell(Message::Emptied(world.litestream.launches(), Err(failure)));
        }
        let is_ignored = world.setup.if_behind == IfBehind::Ignore;
        let unready = world.databases.unready(world.litestream.version.is_ltx(), is_ignored);
        if unready.is_empty() {
            return self.start_litestream();
        }
        launch::make_all_ready(world, unready);
    }

    /// What Litestream has to copy as a whole is ready for it.
    pub(super) fn start_litestream(&mut self) {
        if let Err(failure) = launch::start(&mut self.world) {
            self.not_launched(failure);
        }
    }

    pub(super) fn not_launched(&mut self, failure: Failure) {
        self.world.notices.because(failure.message.clone());
        self.world.tell(Message::Failed(Event::LitestreamEnded { clean: false }, Cause::Litestream, failure));
    }
}
