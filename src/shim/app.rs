//! The app as it travels to the shim.

use serde::{Deserialize, Serialize};

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
