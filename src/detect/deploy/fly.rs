//! What matters of a fly.toml.

use std::collections::BTreeMap;

use crate::toml::settings;

/// The app on Fly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::detect) struct Fly {
    pub env: BTreeMap<String, String>,
    /// The app's name.
    pub app: Option<String>,
    /// `internal_port`.
    pub port: Option<u16>,
    /// Where its volume is.
    pub volume: Option<String>,
    /// The lines of `kill_signal` and `kill_timeout`.
    pub kill: Vec<String>,
}

impl Fly {
    pub fn of(text: &str) -> Self {
        let mut found = Self::default();
        for setting in settings(text) {
            let (key, value) = (setting.key, setting.value);
            match (setting.table, key) {
                ("", "kill_signal" | "kill_timeout") => found.kill.push(setting.line.to_owned()),
                ("", "app") => found.app = Some(value.to_owned()),
                ("http_service" | "services", "internal_port") => {
                    found.port = found.port.or(value.parse().ok());
                }
                ("env", _) => drop(found.env.insert(key.to_owned(), value.to_owned())),
                ("mounts", "destination") if found.volume.is_none() => {
                    found.volume = Some(value.trim_end_matches('/').to_owned());
                }
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_port_and_the_name_are_found() {
        let found = Fly::of("app = 'x'\n[http_service]\n  internal_port = 8080\n");
        assert_eq!((found.port, found.app.as_deref()), (Some(8080), Some("x")));
        assert_eq!(Fly::of("[[services]]\ninternal_port = 9000\n").port, Some(9000));
    }

    #[test]
    fn what_matters_of_fly_is_found() {
        let found = Fly::of(concat!(
            "app = 'shop'\nkill_timeout = 5 # s\n\n[env]\n  PORT = \"8080\"\n  DATABASE_URL = 'file:/data/x.db'\n",
            "[[mounts]]\n  source = \"data\"\n  destination = \"/data/\"\n[http_service]\n  kill_signal = \"x\"\n",
        ));
        assert_eq!(found.volume.as_deref(), Some("/data"));
        assert_eq!(found.kill, ["kill_timeout = 5 # s"]);
        assert_eq!(found.env.get("DATABASE_URL").map(String::as_str), Some("file:/data/x.db"));
        assert_eq!(found.env.len(), 2);
    }
}
