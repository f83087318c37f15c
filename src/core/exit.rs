//! Every code that the keeper ends with, documented once.

use std::fmt;

/// An exit code of the keeper: the app's own, or one of the reasons below.
///
/// The reasons follow `sysexits(3)`, so that they do not collide with what apps usually return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExitCode(u8);

impl ExitCode {
    /// All went well.
    pub const OK: Self = Self(0);
    /// The command line cannot be carried out (`EX_USAGE`); a malformed one is clap's 2.
    pub const USAGE: Self = Self(64);
    /// The replica could not be reached or read, so the app was not started (`EX_UNAVAILABLE`).
    pub const UNAVAILABLE: Self = Self(69);
    /// Litestream could not be started, or kept failing (`EX_SOFTWARE`).
    pub const LITESTREAM: Self = Self(70);
    /// Something that the app wrote, or an earlier run left, is not on the replica (`EX_IOERR`).
    pub const NOT_DRAINED: Self = Self(74);
    /// Another keeper holds a database's lock (`EX_TEMPFAIL`).
    pub const LOCKED: Self = Self(75);
    /// The configuration is wrong (`EX_CONFIG`).
    pub const CONFIG: Self = Self(78);
    /// The app was found but cannot be executed (POSIX shells).
    pub const NOT_EXECUTABLE: Self = Self(126);
    /// The app was not found (POSIX shells).
    pub const NOT_FOUND: Self = Self(127);

    /// The app's own code, passed on as it is.
    pub const fn of_app(code: u8) -> Self {
        Self(code)
    }

    /// The code of a process that signal `number` ended: 128 + n, as shells say it.
    pub const fn of_signal(number: i32) -> Self {
        Self((128 + number) as u8)
    }

    /// The number that the operating system gets.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_said_as_its_number() {
        assert_eq!(format!("{} {}", ExitCode::of_app(3), ExitCode::of_signal(15)), "3 143");
    }
}
