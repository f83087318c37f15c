//! Word to the service manager (`sd_notify(3)`), which may be too busy to read it.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::os::alarm;

/// How long the manager is to wait for the next word of one that starts or stops; after a third of it there is one.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it hears that while one starts or stops.
const AGAIN: Duration = Duration::from_secs(10);
/// What comes behind the time of a stop: how the databases are left is written down, and a place in a bucket given up.
const ENDING: Duration = Duration::from_secs(10);
/// A one-shot command may hang, and nobody here limits it: from its start it has what systemd gives a start by default.
const COMMAND: Duration = Duration::from_secs(90);
/// How often what changes by itself is told, such as how many databases a drain waits for.
const STEP: Duration = Duration::from_secs(1);

/// How the unit is, as far as the manager wants to know.
pub(super) struct Unit {
    /// Where it is, in a word: what changes with it is told at once.
    pub(super) phase: &'static str,
    /// The same for an operator, in a line.
    pub(super) told: String,
    /// What is left of the time of a stop, if it stops.
    pub(super) stops_within: Option<Duration>,
    /// What is under way fails by itself if it does not get on.
    pub(super) is_limited: bool,
    /// Somebody waits for a reload.
    pub(super) reloads: bool,
}

/// The service manager, if there is one.
#[derive(Default)]
pub(super) struct Manager {
    address: Option<OsString>,
    /// How often it wants to hear that the loop goes round.
    watchdog: Option<Duration>,
    pinged: Option<Instant>,
    /// The unit was ready once, so its start is over.
    pub(super) has_begun: bool,
    reloads: bool,
    stops: bool,
    /// The phase and line that were told last, and when.
    told: Option<(&'static str, String, Instant)>,
    /// What it was asked to wait for last, and when it is asked again.
    asked: Option<(Wait, Instant)>,
    words: Rc<RefCell<Words>>,
    /// Who waits until there is room for them.
    waiting: Option<JoinHandle<()>>,
}

/// What the manager is asked to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// A start, whose parts all have limits.
    Start,
    /// One-shot commands in a start.
    Command,
    /// A stop.
    Stop,
}

impl Wait {
    fn is_repeated(self) -> bool {
        match self {
            Self::Start | Self::Stop => true,
            Self::Command => false,
        }
    }
}

/// What was not heard yet: of each kind only the last is of use.
#[derive(Default)]
struct Words {
    state: Option<String>,
    status: Option<String>,
    extension: Option<Duration>,
    ping: bool,
}

impl Words {
    fn text(&self) -> String {
        let status = self.status.as_ref().map(|told| format!("STATUS={told}\n"));
        let extension = self.extension.map(|time| format!("EXTEND_TIMEOUT_USEC={}\n", time.as_micros()));
        let ping = self.ping.then(|| "WATCHDOG=1\n".to_owned());
        [self.state.clone(), status, extension, ping].into_iter().flatten().collect()
    }
}

impl Manager {
    /// The one that the environment names: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` if that is meant for this process.
    pub(super) fn of_environment() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            address: set("NOTIFY_SOCKET"),
            watchdog: half(set("WATCHDOG_USEC").as_deref(), set("WATCHDOG_PID").as_deref()),
            ..Self::default()
        }
    }

    /// Whether anybody wants to hear.
    pub(super) fn is_there(&self) -> bool {
        self.address.is_some()
    }

    /// The app runs, and no replica is further behind than is allowed.
    pub(super) fn is_ready(&mut self) {
        self.has_begun = true;
        self.words.borrow_mut().state = Some("READY=1\n".to_owned());
        self.send();
    }

    /// It is told what is new of the unit, and that the loop goes round.
    pub(super) fn turn(&mut self, now: Instant, unit: Unit) {
        self.change(&unit);
        self.extend(now, &unit);
        self.ping(now);
        self.tell(now, unit);
        self.send();
    }

    /// The loop is over, and what is left is short.
    pub(super) fn ends(&mut self) {
        if !std::mem::replace(&mut self.stops, true) {
            self.words.borrow_mut().state = Some("STOPPING=1\n".to_owned());
        }
        self.words.borrow_mut().extension = Some(ENDING);
        self.send();
    }

    /// One beat of what the watchdog waits for, where there is no loop any more.
    pub(super) async fn beat(&self) {
        let (Some(every), Some(address)) = (self.watchdog, self.address.as_deref()) else {
            return std::future::pending().await;
        };
        // The one after it comes as soon, and may find room.
        let _ = connect(address).and_then(|socket| socket.send(b"WATCHDOG=1\n"));
        tokio::time::sleep(every).await;
    }

    /// It is told that this process lives.
    fn ping(&mut self, now: Instant) {
        if self.watchdog.is_some() && self.next_ping().is_none_or(|at| at <= now) {
            self.pinged = Some(now);
            self.words.borrow_mut().ping = true;
        }
    }

    /// When [`Manager::turn`] is of use again, if nothing happens before.
    pub(super) fn due(&self) -> Option<Instant> {
        let asks = self.asked.filter(|(wait, _)| self.is_there() && wait.is_repeated());
        self.next_ping().into_iter().chain(asks.map(|(_, again)| again)).min()
    }

    /// None where nobody wants one, or before the first.
    fn next_ping(&self) -> Option<Instant> {
        Some(self.pinged? + self.watchdog?)
    }

    fn change(&mut self, unit: &Unit) {
        let state = if unit.stops_within.is_some() {
            let is_new = !std::mem::replace(&mut self.stops, true);
            is_new.then(|| "STOPPING=1\n".to_owned())
        } else if self.has_begun && unit.reloads != self.reloads {
            self.reloads = unit.reloads;
            Some(match unit.reloads {
                // That it began is told by the clock that the manager looks at as well.
                true => format!("RELOADING=1\nMONOTONIC_USEC={}\n", alarm::monotonic().as_micros()),
                false => "READY=1\n".to_owned(),
            })
        } else {
            None
        };
        if state.is_some() {
            self.words.borrow_mut().state = state;
        }
    }

    /// Asks it to wait for one that starts or stops, for as long as that takes at most.
    fn extend(&mut self, now: Instant, unit: &Unit) {
        let (wait, time) = match unit.stops_within {
            Some(left) => (Wait::Stop, PATIENCE.min(left + ENDING)),
            None if self.has_begun => return self.asked = None,
            None if unit.is_limited => (Wait::Start, PATIENCE),
            None => (Wait::Command, COMMAND),
        };
        let is_due = match self.asked {
            Some((before, again)) if before == wait => wait.is_repeated() && again <= now,
            Some(_) | None => true,
        };
        if is_due {
            self.words.borrow_mut().extension = Some(time);
            self.asked = Some((wait, now + AGAIN));
        }
    }

    fn tell(&mut self, now: Instant, unit: Unit) {
        let is_due = self.told.as_ref().is_none_or(|(phase, told, at)| {
            *phase != unit.phase || (*told != unit.told && now.saturating_duration_since(*at) >= STEP)
        });
        if is_due {
            self.words.borrow_mut().status = Some(unit.told.clone());
            self.told = Some((unit.phase, unit.told, now));
        }
    }

    /// Sends what there is at once if it can be: the unit may end with its next breath. One that does not listen is its
    /// own problem, but no problem of ours.
    fn send(&mut self) {
        let text = self.words.borrow().text();
        let Some(address) = self.address.as_deref().filter(|_| !text.is_empty()) else { return };
        // It goes with the rest.
        if self.waiting.as_ref().is_some_and(|waiting| !waiting.is_finished()) {
            return;
        }
        let sent = connect(address).and_then(|socket| match socket.send(text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Some(socket)),
            sent => sent.map(|_| None),
        });
        match sent {
            Ok(Some(socket)) => {
                let words = self.words.clone();
                self.waiting = Some(tokio::task::spawn_local(send_later(socket, words)));
            }
            Ok(None) | Err(_) => drop(self.words.take()),
        }
    }
}

/// Sends what there is by then once there is room for it.
async fn send_later(socket: UnixDatagram, words: Rc<RefCell<Words>>) {
    let Ok(socket) = tokio::net::UnixDatagram::from_std(socket) else { return };
    while socket.writable().await.is_ok() {
        let text = words.borrow().text();
        match socket.try_send(text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => return drop(words.take()),
        }
    }
}

/// A socket of its own for each word: a manager that was started again has a new one.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match address.as_bytes() {
        // No file, but a name of the kernel's (`unix(7)`).
        [b'@', name @ ..] => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        _ => socket.connect(address)?,
    }
    Ok(socket)
}

/// Half of what a watchdog waits, if it is set for this process (`sd_watchdog_enabled(3)`).
fn half(time: Option<&OsStr>, pid: Option<&OsStr>) -> Option<Duration> {
    let number = |text: &OsStr| text.to_str()?.parse::<u64>().ok();
    let is_ours = pid.is_none_or(|pid| number(pid) == Some(std::process::id().into()));
    let micros = number(time?).filter(|micros| *micros > 0 && is_ours)?;
    Some(Duration::from_micros(micros) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(phase: &'static str) -> Unit {
        let told = format!("{phase} told");
        Unit { phase, told, stops_within: None, is_limited: true, reloads: false }
    }

    /// What is said in this turn.
    fn turn(manager: &mut Manager, now: Instant, unit: Unit) -> String {
        manager.turn(now, unit);
        let said = manager.words.take();
        said.text().replace('\n', " ").trim_end().to_owned()
    }

    #[test]
    fn a_start_is_waited_for_again_and_again_but_for_what_nobody_limits() {
        let (mut manager, now) = (Manager::default(), Instant::now());
        assert_eq!(turn(&mut manager, now, unit("a")), "STATUS=a told EXTEND_TIMEOUT_USEC=30000000");
        assert_eq!(turn(&mut manager, now, unit("b")), "STATUS=b told");
        assert_eq!(turn(&mut manager, now + AGAIN, unit("b")), "EXTEND_TIMEOUT_USEC=30000000");
        let command = || Unit { is_limited: false, ..unit("c") };
        assert_eq!(turn(&mut manager, now + AGAIN, command()), "STATUS=c told EXTEND_TIMEOUT_USEC=90000000");
        assert_eq!(turn(&mut manager, now + AGAIN * 9, command()), "", "once");
        manager.is_ready();
        assert_eq!(manager.words.take().text(), "READY=1\n");
        assert_eq!(turn(&mut manager, now + AGAIN * 20, unit("run")), "STATUS=run told");
        assert_eq!(turn(&mut manager, now + AGAIN * 30, unit("run")), "", "it has begun");
    }

    #[test]
    fn a_stop_is_waited_for_as_long_as_it_takes_and_no_longer() {
        let (mut manager, now) = (Manager::default(), Instant::now());
        manager.is_ready();
        manager.words.take();
        let stops = |left| Unit { stops_within: Some(Duration::from_secs(left)), ..unit("stop") };
        let said = turn(&mut manager, now, stops(600));
        assert_eq!(said, "STOPPING=1 STATUS=stop told EXTEND_TIMEOUT_USEC=30000000");
        assert_eq!(turn(&mut manager, now + AGAIN / 2, stops(600)), "");
        assert_eq!(turn(&mut manager, now + AGAIN, stops(3)), "EXTEND_TIMEOUT_USEC=13000000");
        manager.ends();
        assert_eq!(
            manager.words.take().text(),
            "EXTEND_TIMEOUT_USEC=10000000\n",
            "it was said that it stops"
        );
        let mut failed = Manager::default();
        failed.ends();
        assert!(failed.words.take().text().starts_with("STOPPING=1\n"));
    }

    #[test]
    fn a_reload_begins_and_ends_once_and_only_of_what_runs() {
        let (mut manager, now) = (Manager::default(), Instant::now());
        let reloads = |reloads| Unit { reloads, ..unit("run") };
        assert!(!turn(&mut manager, now, reloads(true)).contains("RELOADING"));
        manager.is_ready();
        manager.words.take();
        let said = turn(&mut manager, now, reloads(true));
        assert!(said.starts_with("RELOADING=1 MONOTONIC_USEC="), "{said}");
        assert_eq!(turn(&mut manager, now, reloads(true)), "");
        assert_eq!(turn(&mut manager, now, reloads(false)), "READY=1");
        let stops = Unit { stops_within: Some(STEP), ..reloads(true) };
        assert_eq!(turn(&mut manager, now, stops), "STOPPING=1 EXTEND_TIMEOUT_USEC=11000000");
    }

    #[test]
    fn a_line_that_changes_by_itself_is_told_once_a_second() {
        let (mut manager, now) = (Manager::default(), Instant::now());
        manager.is_ready();
        manager.words.take();
        let left = |left: u32| Unit { told: left.to_string(), ..unit("drain") };
        assert_eq!(turn(&mut manager, now, left(9)), "STATUS=9");
        assert_eq!(turn(&mut manager, now, left(8)), "");
        assert_eq!(turn(&mut manager, now + STEP, left(7)), "STATUS=7");
        assert_eq!(turn(&mut manager, now + STEP, unit("end")), "STATUS=end told");
    }

    #[test]
    fn a_watchdog_hears_twice_in_its_time_if_it_is_this_processs() {
        let own = std::process::id().to_string();
        let half = |time: &str, pid: Option<&str>| half(Some(OsStr::new(time)), pid.map(OsStr::new));
        assert_eq!(half("3000000", None), Some(Duration::from_millis(1500)));
        assert_eq!(half("3000000", Some(&own)), Some(Duration::from_millis(1500)));
        assert_eq!(
            [half("3000000", Some("1x")), half("0", None), half("-1", None), half("x", None)],
            [None; 4]
        );
        let mut manager = Manager { watchdog: half("20000000", None), ..Manager::default() };
        manager.is_ready();
        manager.words.take();
        let now = Instant::now();
        assert_eq!(turn(&mut manager, now, unit("run")), "STATUS=run told WATCHDOG=1");
        assert_eq!(turn(&mut manager, now + Duration::from_secs(9), unit("run")), "");
        assert_eq!(manager.due(), Some(now + Duration::from_secs(10)));
        assert_eq!(turn(&mut manager, now + Duration::from_secs(10), unit("run")), "WATCHDOG=1");
    }
}
