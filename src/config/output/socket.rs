//! Where the user wants Litestream's control socket.

use std::path::{Path, PathBuf};

use crate::config::model::whole::Config;
use crate::yaml::Node;

impl Config {
    /// Returns the user's own place for the control socket; none if Litekeeper chooses it.
    ///
    /// Litestream takes the path as it is written, `~` included.
    pub fn socket(&self) -> Option<PathBuf> {
        let path = self.if_on("path")?.as_str().filter(|path| !path.is_empty())?;
        Some(self.base().cwd.join(Path::new(path)))
    }

    /// Says how long Litestream keeps its own files of single transactions at least; none for its default of five minutes.
    pub fn l0_retention(&self) -> Option<std::time::Duration> {
        let retention = crate::config::duration::of_setting(self.root().get("l0-retention")?)?;
        // 0 keeps them for ever.
        (!retention.is_zero()).then_some(retention)
    }

    /// Says whether the control socket is switched off, which cannot be.
    pub fn is_socket_off(&self) -> bool {
        self.socket_setting("enabled").and_then(Node::as_bool) == Some(false)
    }

    /// Returns the permissions that the user wants for it.
    pub(in crate::config) fn socket_permissions(&self) -> Option<Node> {
        self.if_on("permissions").filter(|permissions| permissions.as_u64().is_some()).cloned()
    }

    /// Returns a setting of the socket; where there is to be none, its settings do not count.
    fn if_on(&self, key: &str) -> Option<&Node> {
        self.socket_setting(key).filter(|_| !self.is_socket_off())
    }

    fn socket_setting(&self, key: &str) -> Option<&Node> {
        self.root().get("socket")?.get(key)
    }
}
