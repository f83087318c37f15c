//! The app as it travels to the shim.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How many sockets the service manager passed (`sd_listen_fds(3)`).
pub const LISTEN_FDS: &str = "LISTEN_FDS";
/// Whom it passed them to.
pub const LISTEN_PID: &str = "LISTEN_PID";

/// A command with all that it starts with, but for its descriptors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// The program and its arguments: any bytes.
    pub argv: Vec<Vec<u8>>,
    /// The whole environment: any bytes.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Its group becomes the terminal's foreground.
    pub foreground: bool,
}
