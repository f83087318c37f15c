//! The app as it travels to the shim, and what becomes of it there.

use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use crate::os::child::Child;
use crate::os::exec::Command;
use crate::os::signal;

/// How many sockets the service manager passed (`sd_listen_fds(3)`).
pub const LISTEN_FDS: &str = "LISTEN_FDS";
/// Whom it passed them to.
pub const LISTEN_PID: &str = "LISTEN_PID";

/// What the sockets are called, in their order.
pub const LISTEN_FDNAMES: &str = "LISTEN_FDNAMES";

/// A command with all that it starts with, but for its descriptors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// The program and its arguments: any bytes.
    pub argv: Vec<Vec<u8>>,
    /// The whole environment: any bytes.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Its working directory comes with its descriptors, before those of socket activation; else it is the shim's.
    pub has_folder: bool,
    /// That directory is only what all of them were started in: who may not enter it is there already.
    pub inherits_folder: bool,
    /// What the sockets of socket activation are called.
    pub socket_names: Option<Vec<u8>>,
    /// Its group becomes the terminal's foreground.
    pub foreground: bool,
    /// The signals that it starts with ignored ([`crate::os::signal::Numbers`]).
    pub ignored: u64,
}

impl App {
    /// With its descriptors: the three that each process has, its folder, and those of socket activation.
    pub(super) fn into_child(self, mut fds: Vec<OwnedFd>) -> Child {
        let folder = (self.has_folder && fds.len() > 3).then(|| fds.remove(3));
        let sockets = fds.len().saturating_sub(3);
        let mut env = self.env;
        let own = [LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES];
        env.retain(|(name, _)| own.iter().all(|own| name != own.as_bytes()));
        if sockets > 0 {
            env.push((LISTEN_FDS.into(), sockets.to_string().into()));
            env.extend(self.socket_names.map(|names| (LISTEN_FDNAMES.into(), names)));
        }
        Child {
            command: Command::from_bytes(self.argv, env),
            folder,
            may_stay: self.inherits_folder,
            foreground: self.foreground,
            ignored: signal::Numbers(self.ignored),
            fds,
            own_number_in: (sockets > 0).then(|| LISTEN_PID.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::os::fd;

    fn app(has_folder: bool) -> App {
        let variable = |name: &str| (name.into(), b"old".to_vec());
        App {
            argv: vec![b"serve".to_vec(), b"\xff".to_vec()],
            env: [LISTEN_PID, "PORT", LISTEN_FDS, LISTEN_FDNAMES].map(variable).into(),
            has_folder,
            inherits_folder: true,
            socket_names: Some(b"web:admin".to_vec()),
            foreground: true,
            ignored: 5,
        }
    }

    fn fds(count: usize) -> Vec<OwnedFd> {
        (0..count).map(|_| fd::memory(b"").unwrap()).collect()
    }

    fn env(child: &Child) -> Vec<(String, String)> {
        let text = |text: &OsString| text.to_string_lossy().into_owned();
        child.command.env.iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn an_app_without_sockets_is_told_of_none() {
        let child = app(false).into_child(fds(3));
        assert_eq!(env(&child), [("PORT".into(), "old".into())]);
        assert_eq!((child.fds.len(), child.own_number_in), (3, None));
        assert!(child.folder.is_none() && child.may_stay && child.foreground);
        assert_eq!((child.ignored, child.command.argv.len()), (signal::Numbers(5), 2));
    }

    #[test]
    fn sockets_come_behind_the_folder_and_are_told() {
        let fds = fds(6);
        let numbers: Vec<i32> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let child = app(true).into_child(fds);
        let told = [("PORT", "old"), (LISTEN_FDS, "2"), (LISTEN_FDNAMES, "web:admin")];
        assert_eq!(env(&child), told.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(child.own_number_in, Some(LISTEN_PID.into()));
        assert_eq!(child.folder.map(|folder| folder.as_raw_fd()), Some(numbers[3]));
        let rest: Vec<i32> = child.fds.iter().map(AsRawFd::as_raw_fd).collect();
        assert_eq!(rest, [&numbers[..3], &numbers[4..]].concat());
    }

    #[test]
    fn a_folder_that_did_not_come_is_none() {
        let child = app(true).into_child(fds(3));
        assert!(child.folder.is_none() && child.own_number_in.is_none());
    }
}
