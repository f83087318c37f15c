//! The machine's actions, carried out.

use std::io;

use super::app_tree::Running;
use super::driver::Driver;
use super::message::Message;
use crate::core::{Action, Cause, Ended, Event, ExitCode, NotStarted, Turn};
use crate::shim::{Target, ToShim};

impl Driver {
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
            Action::Resolve => self.resolve(),
            Action::Register(db) => world.register(db),
            Action::Unregister(db) => world.unregister(db),
            Action::Cancel(db) => world.cancel(db),
            Action::Forget(db) => self.turn(Turn::Forgotten(db)),
            Action::PutOff(db) => self.turn(Turn::PutOff(db)),
            Action::Confirm(db) => {
                if let Some(database) = world.databases.table.get(db) {
                    let asking = world.client().confirm(db, database.clone(), world.running());
                    tokio::task::spawn_local(asking);
                }
            }
            Action::Drain => {
                // The last look may be a while ago.
                self.look(true);
                let written = self.world.discovery.written_outside();
                self.turn(Turn::Draining { written });
                self.world.databases.proofs.stop();
                let all = self.world.databases.table.listed();
                self.world.drain(self.world.discovery.drained_now(all));
            }
            Action::CloseDrain => world.close_drain(),
            Action::Release => {
                world.databases.released();
                world.litestream.heard.unclean.set(false);
                world.tree.tell_shim(&ToShim::Release);
            }
            Action::KillLitestream => {
                if !world.litestream.kill() {
                    // What it is to copy was still being made ready: nobody is there whose end would come.
                    let killed = Ended::Signal(nix::libc::SIGKILL);
                    world.tell(Message::LitestreamReaped(world.litestream.launches(), killed));
                }
            }
            Action::Ready(ready) => world.notices.ready(ready),
            Action::Note(note) => world.note(&note),
            Action::Exit(code, cause) => return Some((code, cause)),
        }
        None
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
}
