//! Faults, carried out on a running unit.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::plan::{Fault, Victim};
use crate::proxy::Proxy;
use crate::support::process::Running;
use crate::support::procfs::Process;

/// How long a victim that is not there is waited for: it may be about to come back.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long after the shim's death the keeper may still be needed for what it left, on a busy machine.
const ALONE: Duration = Duration::from_secs(2);

/// The faults of a life: those to come, and those that will be over at some time.
pub struct Faults {
    coming: Vec<(Instant, Fault)>,
    passing: Vec<(Instant, Passing)>,
    killed: Vec<(Instant, Victim)>,
}

/// What ends a fault.
enum Passing {
    Frozen(Process),
    Network,
}

impl Faults {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { coming: Vec::new(), passing: Vec::new(), killed: Vec::new() }
    }

    /// Something that happens at `at`.
    pub fn plan(&mut self, at: Instant, fault: Fault) {
        self.coming.push((at, fault));
    }

    /// Does what is due, and says what was done.
    pub fn tick(&mut self, running: &Running, proxy: Option<&Proxy>, note: &mut impl FnMut(String)) {
        let now = Instant::now();
        for (at, fault) in std::mem::take(&mut self.coming) {
            if at > now {
                self.coming.push((at, fault));
            } else if !self.happen(running, proxy, fault, note) {
                if at + PATIENCE > now {
                    self.coming.push((at, fault));
                } else {
                    note(format!("{fault}: nobody there"));
                }
            }
        }
        let (over, passing) = std::mem::take(&mut self.passing).into_iter().partition(|(at, _)| *at <= now);
        self.passing = passing;
        self.end(over, proxy, note);
    }

    /// Ends whatever is still going on; what was to come does not.
    pub fn finish(&mut self, proxy: Option<&Proxy>, note: &mut impl FnMut(String)) {
        self.coming.clear();
        let passing = std::mem::take(&mut self.passing);
        self.end(passing, proxy, note);
    }

    /// Whether nobody is left who could end what the app started: keeper and shim were killed, the one before the other
    /// was done with it. That is promised for the death of any one of them.
    pub fn orphaned_all(&self) -> bool {
        let at = |who: Victim| self.killed.iter().rev().find(|(_, victim)| *victim == who).map(|(at, _)| *at);
        let Some((keeper, shim)) = at(Victim::Keeper).zip(at(Victim::Shim)) else { return false };
        shim + ALONE > keeper
    }

    fn end(&self, over: Vec<(Instant, Passing)>, proxy: Option<&Proxy>, note: &mut impl FnMut(String)) {
        for (_, passing) in over {
            match passing {
                Passing::Frozen(process) => {
                    process.signal(Signal::SIGCONT);
                    note(format!("process {} goes on", process.pid));
                }
                Passing::Network => {
                    if self.passing.iter().any(|(_, other)| matches!(other, Passing::Network)) {
                        // Another fault has taken the place of this one.
                        continue;
                    }
                    let hits = proxy.map_or(0, |proxy| {
                        proxy.set(None);
                        proxy.hits()
                    });
                    note(format!("the network is back, {hits} requests were hit so far"));
                }
            }
        }
    }

    /// Whether it could be done.
    fn happen(
        &mut self,
        running: &Running,
        proxy: Option<&Proxy>,
        fault: Fault,
        note: &mut impl FnMut(String),
    ) -> bool {
        let now = Instant::now();
        match fault {
            Fault::Kill(victim) => match find(running, victim) {
                Some(process) => {
                    process.signal(Signal::SIGKILL);
                    self.killed.push((now, victim));
                    note(format!("{fault}: process {}", process.pid));
                    true
                }
                None => false,
            },
            Fault::Freeze(victim, millis) => match find(running, victim) {
                Some(process) => {
                    process.signal(Signal::SIGSTOP);
                    note(format!("{fault}: process {}", process.pid));
                    self.passing.push((now + Duration::from_millis(millis), Passing::Frozen(process)));
                    true
                }
                None => false,
            },
            Fault::Network(network, millis) => {
                if let Some(proxy) = proxy {
                    proxy.set(Some(network));
                    note(fault.to_string());
                    self.passing.push((now + Duration::from_millis(millis), Passing::Network));
                }
                true
            }
        }
    }
}

/// The process of this part in the unit, if there is one now.
pub fn find(running: &Running, victim: Victim) -> Option<Process> {
    let tree = running.tree();
    let word = |process: &Process, wanted: &str| process.cmdline.get(1).is_some_and(|word| word == wanted);
    let first = |wanted: &str| tree.iter().find(|process| word(process, wanted)).cloned();
    match victim {
        Victim::Keeper => tree.iter().find(|process| process.pid == running.pid()).cloned(),
        Victim::Litestream => first("replicate"),
        // Its child looks the same until it runs the app.
        Victim::Shim => {
            let shims: Vec<_> = tree.iter().filter(|process| word(process, "__shim")).collect();
            shims
                .iter()
                .find(|process| shims.iter().all(|shim| shim.pid != process.ppid))
                .map(|shim| (*shim).clone())
        }
        Victim::Leader => first("__leader"),
        Victim::Writer(number) => {
            let mut writers: Vec<_> = tree.into_iter().filter(|process| word(process, "__writer")).collect();
            let place = number as usize % writers.len().max(1);
            (place < writers.len()).then(|| writers.swap_remove(place))
        }
    }
}
