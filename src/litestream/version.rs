//! Litestream's version, and what follows from it.

use std::fmt;

/// A release of Litestream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 0 so far.
    pub major: u16,
    /// 3 for the WAL format, 5 for LTX.
    pub minor: u16,
    /// The patch level.
    pub patch: u16,
}

impl Version {
    /// Makes a version by its three numbers.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// Reads `litestream version`: `0.5.17`, `v0.3.13`, also with a suffix (`0.5.17-rc1`).
    pub fn parse(text: &str) -> Option<Self> {
        let core = text.trim().trim_start_matches('v').split(['-', '+', ' ']).next()?;
        let mut numbers = core.split('.').map(|part| part.parse().ok());
        let version = Self { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()?? };
        numbers.next().is_none().then_some(version)
    }

    /// Says whether replication of this release fails without a word (Litestream's issues 1083, 1175).
    pub fn is_known_bad(self) -> bool {
        (Self::new(0, 5, 6)..=Self::new(0, 5, 8)).contains(&self)
    }

    /// Says whether it is the one that may run whatever is known of it.
    pub fn is_allowed(self, allowed: Option<&str>) -> bool {
        allowed.and_then(Self::parse) == Some(self)
    }

    /// The first whose control socket confirms: `POST /sync` came with it.
    pub const CONFIRMS: Self = Self::new(0, 5, 9);

    /// Says whether its control socket confirms.
    pub fn confirms(self) -> bool {
        self >= Self::CONFIRMS
    }

    /// Says whether "no backup" is the replica's own answer: LTX releases before 0.5.9 say it as well when a
    /// replica that is no folder refuses or cannot be reached (tried on S3).
    pub fn admits_refusals(self) -> bool {
        !self.is_ltx() || self >= Self::new(0, 5, 9)
    }

    /// Says whether `restore -dry-run -json` tells what a replica holds: 0.5.12.
    pub fn plans(self) -> bool {
        self >= Self::new(0, 5, 12)
    }

    /// Says whether `restore -f` goes on with what comes: 0.5.9.
    pub fn follows(self) -> bool {
        self >= Self::new(0, 5, 9)
    }

    /// Says whether it restores the backups of 0.3 as well, and the newer of both: 0.5.7.
    pub fn reads_both(self) -> bool {
        self >= Self::new(0, 5, 7)
    }

    /// Says whether it reads files whose pages are blocks, which 0.5.16 began to write.
    pub fn reads_blocks(self) -> bool {
        self >= Self::new(0, 5, 16)
    }

    /// Says whether it keeps LTX files; before 0.5 it kept generations of WAL segments.
    pub fn is_ltx(self) -> bool {
        self >= Self::new(0, 5, 0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// What most are: asked for first, so that a start need not wait for one process to start another, and taken for the version of one that says none.
pub const EXPECTED: Version = Version::new(0, 5, 17);

/// What there is to be said of a Litestream by its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Which it is.
    pub version: Version,
    /// It has to be this one.
    pub other: Option<Version>,
    /// It is known to fail without a word, and nobody has said that it may run all the same.
    pub is_bad: bool,
}

/// Judges what `litestream version` printed: one has to be it, one may run although it is bad, or says nothing that could be read.
pub fn judge(printed: &str, required: Option<Version>, allowed: Option<&str>) -> Option<Judged> {
    let plain = |text: &str| text.trim().trim_start_matches('v').to_owned();
    let is_allowed = allowed.is_some_and(|allowed| plain(allowed) == plain(printed));
    match Version::parse(printed) {
        Some(version) => Some(Judged {
            version,
            other: required.filter(|required| *required != version),
            is_bad: version.is_known_bad() && !is_allowed,
        }),
        None => is_allowed.then_some(Judged { version: EXPECTED, other: None, is_bad: false }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_may_run_that_is_bad_or_says_nothing_if_it_is_named() {
        let (bad, good) = (Version::new(0, 5, 7), Version::new(0, 5, 17));
        let judged = |printed, required, allowed| {
            judge(printed, required, allowed)
                .map(|Judged { version, other, is_bad }| (version, other, is_bad))
        };
        assert_eq!(judged("v0.5.7\n", None, None), Some((bad, None, true)));
        assert_eq!(judged("0.5.7", Some(good), Some("v0.5.7")), Some((bad, Some(good), false)));
        assert_eq!(judged("0.5.17", Some(good), None), Some((good, None, false)));
        assert_eq!(judged("(development build)", None, Some("0.5.17")), None);
        assert_eq!(
            judged("(development build)\n", None, Some("(development build)")),
            Some((good, None, false))
        );
    }

    #[test]
    fn versions_are_read_as_litestream_prints_them() {
        assert_eq!(Version::parse("v0.3.13\n"), Some(Version::new(0, 3, 13)));
        assert_eq!(Version::parse("0.5.17"), Some(Version::new(0, 5, 17)));
        assert_eq!(Version::parse("0.6.0-beta.1"), Some(Version::new(0, 6, 0)));
        for rubbish in ["", "(development build)", "0.5", "1.2.3.4", "a.b.c"] {
            assert_eq!(Version::parse(rubbish), None, "{rubbish}");
        }
    }

    #[test]
    fn what_each_release_can_do() {
        let of = |patch| Version::new(0, 5, patch);
        assert!(
            !of(5).is_known_bad() && of(6).is_known_bad() && of(8).is_known_bad() && !of(9).is_known_bad()
        );
        assert!(!of(8).confirms() && of(9).confirms() && Version::new(0, 6, 0).confirms());
        assert!(
            !of(8).admits_refusals() && of(9).admits_refusals() && Version::new(0, 3, 13).admits_refusals()
        );
        assert!(!of(11).plans() && of(12).plans());
        assert!(!Version::new(0, 3, 13).is_ltx() && of(0).is_ltx());
    }
}
