//! Who may ask.
//!
//! Of this machine alone everybody may who reaches it, unless a password is set. Everywhere else nobody may without one, but for what
//! is opened on purpose. A browser that is told to ask this machine for another's page (DNS rebinding) names that one: who is
//! let in for being here has to name this machine.

use std::cell::Cell;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use super::route::Kind;

/// How long each guess waits, one after the other, for as long as the last wrong one is not older than [`MEMORY`].
const SLOWLY: Duration = Duration::from_millis(500);
/// See [`SLOWLY`].
const MEMORY: Duration = Duration::from_secs(10);

/// Who has an account.
#[derive(Clone, Default)]
pub struct Account {
    /// The name and the password of a person.
    pub person: Option<(String, String)>,
    /// What a program sends (`Authorization: Bearer …`).
    pub token: Option<String>,
}

impl Account {
    /// Somebody can have one.
    pub fn is_set(&self) -> bool {
        self.person.is_some() || self.token.is_some()
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").finish_non_exhaustive()
    }
}

/// What everybody may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// `/livez` and `/readyz`.
    pub health: bool,
    /// `/metrics`.
    pub metrics: bool,
}

/// What is said to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// Here it is.
    Granted,
    /// Who asks has to say who that is.
    Unknown,
    /// It is there for nobody.
    Forbidden,
    /// Another machine is meant.
    Elsewhere,
}

/// The rules of one server.
pub(super) struct Access {
    /// What is to be sent, as sums: a comparison of those tells nothing of what they are of.
    known: Vec<[u8; 32]>,
    open: Open,
    is_loopback: bool,
    /// When a wrong one came last.
    wrong: Cell<Option<Instant>>,
    queue: Mutex<()>,
}

impl Access {
    pub(super) fn new(account: &Account, open: Open, is_loopback: bool) -> Self {
        let person = account
            .person
            .as_ref()
            .map(|(name, password)| sum(&format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))));
        let token = account.token.as_ref().map(|token| sum(&format!("Bearer {token}")));
        let known = person.into_iter().chain(token).collect();
        Self { known, open, is_loopback, wrong: Cell::new(None), queue: Mutex::new(()) }
    }

    /// Rules on a request; a guess may wait for it.
    pub(super) async fn rule(&self, kind: Kind, host: Option<&str>, authorization: Option<&str>) -> Ruling {
        let is_open = match kind {
            Kind::Health => self.open.health,
            Kind::Metrics => self.open.metrics,
            Kind::Rest => false,
        };
        if is_open {
            return Ruling::Granted;
        }
        if self.known.is_empty() {
            return match (self.is_loopback, is_here(host)) {
                (true, true) => Ruling::Granted,
                (true, false) => Ruling::Elsewhere,
                (false, _) => Ruling::Forbidden,
            };
        }
        let Some(said) = authorization else { return Ruling::Unknown };
        if self.is_slow() {
            let _turn = self.queue.lock().await;
            if self.is_slow() {
                tokio::time::sleep(SLOWLY).await;
            }
            return self.judge(said);
        }
        self.judge(said)
    }

    fn is_slow(&self) -> bool {
        self.wrong.get().is_some_and(|at| at.elapsed() < MEMORY)
    }

    fn judge(&self, said: &str) -> Ruling {
        // The name of a scheme has no case (RFC 9110, 11.1).
        let (scheme, rest) = said.split_once(' ').unwrap_or((said, ""));
        let scheme = match () {
            () if scheme.eq_ignore_ascii_case("basic") => "Basic",
            () if scheme.eq_ignore_ascii_case("bearer") => "Bearer",
            () => scheme,
        };
        let said = sum(&format!("{scheme} {}", rest.trim()));
        // All of them, and all of each: how long it takes tells nothing.
        let is_known = self.known.iter().fold(false, |found, known| found | is_same(known, &said));
        if is_known {
            return Ruling::Granted;
        }
        self.wrong.set(Some(Instant::now()));
        Ruling::Unknown
    }
}

fn sum(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn is_same(left: &[u8; 32], right: &[u8; 32]) -> bool {
    left.iter().zip(right).fold(0, |differ, (left, right)| differ | (left ^ right)) == 0
}

/// Whether a request names this machine, and not a name that somebody else can have led here.
fn is_here(host: Option<&str>) -> bool {
    let Some(host) = host else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Account = Account { person: None, token: None };

    fn ada() -> Account {
        Account { person: Some(("ada".to_owned(), "let me: in".to_owned())), token: Some("t0k".to_owned()) }
    }

    fn ruled(access: &Access, kind: Kind, host: &str, said: Option<&str>) -> Ruling {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(access.rule(kind, Some(host), said))
    }

    #[test]
    fn without_a_password_this_machine_alone_is_answered() {
        let here = Access::new(&NOBODY, Open::default(), true);
        for kind in [Kind::Health, Kind::Metrics, Kind::Rest] {
            for host in ["localhost:9", "127.0.0.1", "127.1.2.3:80", "[::1]:9", "LocalHost"] {
                assert_eq!(ruled(&here, kind, host, None), Ruling::Granted, "{host}");
            }
            for host in ["evil.example", "127.0.0.1.evil.example:9", "10.0.0.1", "", "localhost.:9"] {
                assert_eq!(ruled(&here, kind, host, None), Ruling::Elsewhere, "{host}");
            }
        }
        let all = Access::new(&NOBODY, Open { health: true, metrics: false }, false);
        assert_eq!(ruled(&all, Kind::Health, "evil.example", None), Ruling::Granted);
        assert_eq!(ruled(&all, Kind::Metrics, "127.0.0.1", None), Ruling::Forbidden);
        assert_eq!(ruled(&all, Kind::Rest, "127.0.0.1", Some("Basic Og==")), Ruling::Forbidden);
    }

    #[test]
    fn with_one_it_is_asked_for_of_everybody_and_everything_that_is_not_open() {
        let right = format!("Basic {}", STANDARD.encode("ada:let me: in"));
        for is_loopback in [true, false] {
            let access = Access::new(&ada(), Open { health: true, metrics: false }, is_loopback);
            let rule = |kind, said: Option<&str>| ruled(&access, kind, "any", said);
            assert_eq!(rule(Kind::Health, None), Ruling::Granted);
            for kind in [Kind::Metrics, Kind::Rest] {
                assert_eq!(rule(kind, Some(&right)), Ruling::Granted);
                assert_eq!(rule(kind, Some(&right.replace("Basic", "bAsIc"))), Ruling::Granted);
                assert_eq!(rule(kind, Some("Bearer t0k")), Ruling::Granted);
                let half = &right[..right.len() - 2];
                for wrong in ["", "Basic", "Bearer", "Bearer t0", "Bearer t0k1", "Basic t0k", half, "t0k"] {
                    assert_eq!(rule(kind, Some(wrong)), Ruling::Unknown, "{wrong}");
                }
                assert_eq!(rule(kind, None), Ruling::Unknown);
            }
        }
    }

    #[test]
    fn guesses_wait_for_each_other() {
        let access = Access::new(&ada(), Open::default(), false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let guess = || access.rule(Kind::Rest, None, Some("Bearer x"));
            guess().await;
            let began = tokio::time::Instant::now();
            futures_util::future::join_all((0..10).map(|_| guess())).await;
            assert!(began.elapsed() >= SLOWLY * 10, "{:?}", began.elapsed());
        });
    }
}
