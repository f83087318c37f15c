//! Settings of Litestream that the environment overrules, as the wrappers of the frameworks have them.
//!
//! Names, defaults and meaning are those of laravel-litestream's `config/litestream.php`: an address of
//! metrics or of MCP counts only where they are switched on, by their variable or in the file.

use crate::config::error::{Error, Origin, Problem};
use crate::config::values::options::Env;
use crate::yaml::Node;

/// What a variable makes of a setting.
#[derive(Clone)]
pub struct Override {
    /// The setting: a key, or a mapping and a key in it.
    pub path: &'static [&'static str],
    /// The variable that says so.
    pub variable: &'static str,
    /// The value; none takes the setting out.
    pub value: Option<Node>,
}

/// An address that can be switched on and off.
struct Address {
    path: &'static [&'static str],
    enabled: &'static str,
    address: &'static str,
    port: &'static str,
    default: &'static str,
}

const ADDRESSES: [Address; 2] = [
    Address {
        path: &["addr"],
        enabled: "LITESTREAM_METRICS_ENABLED",
        address: "LITESTREAM_METRICS_ADDRESS",
        port: "LITESTREAM_METRICS_PORT",
        default: "127.0.0.1:9090",
    },
    Address {
        path: &["mcp-addr"],
        enabled: "LITESTREAM_MCP_ENABLED",
        address: "LITESTREAM_MCP_ADDRESS",
        port: "LITESTREAM_MCP_PORT",
        default: "127.0.0.1:3001",
    },
];

/// Puts what the environment says over `root`, and returns it.
///
/// # Errors
/// Every variable that says nothing sensible.
pub(in crate::config) fn apply(root: &mut Node, env: Env<'_>) -> Result<Vec<Override>, Error> {
    let found = overrides(root, env)?;
    for Override { path, value, .. } in found.iter().cloned() {
        if root.is_null() {
            *root = Node::mapping([]);
        }
        let (place, key) = match path {
            [mapping, key] => {
                if root.get(mapping).is_none() {
                    root.set(mapping, Node::mapping([]));
                }
                (root.get_mut(mapping), *key)
            }
            _ => (Some(&mut *root), path[0]),
        };
        let Some(place) = place else { continue };
        if key.contains('-') {
            // The other spelling would be a second value.
            place.remove(&key.replace('-', "_"));
        }
        match value {
            Some(value) => place.set(key, value),
            None => drop(place.remove(key)),
        }
    }
    Ok(found)
}

/// Returns what the environment has to say about `root`. An empty variable says nothing.
///
/// # Errors
/// Every variable that says nothing sensible.
fn overrides(root: &Node, env: Env<'_>) -> Result<Vec<Override>, Error> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    let mut simple = |path, variable, wanted, read: fn(&str) -> Option<Node>| {
        let Some(text) = set(variable) else { return };
        match read(&text) {
            Some(value) => found.push(Override { path, variable, value: Some(value) }),
            None => wrong.push(Problem::Variable { variable, value: text, wanted }),
        }
    };
    simple(&["logging", "level"], "LITESTREAM_LOG_LEVEL", "trace, debug, info, warn or error", level);
    simple(&["socket", "enabled"], "LITESTREAM_SOCKET_ENABLED", SWITCH, |text| {
        switch(text).map(|on| Node::plain(on.to_string()))
    });
    simple(&["socket", "path"], "LITESTREAM_SOCKET_PATH", "a path", |text| Some(Node::text(text)));
    simple(
        &["socket", "permissions"],
        "LITESTREAM_SOCKET_PERMISSIONS",
        "an octal number such as 0600",
        octal,
    );
    for address in &ADDRESSES {
        address.look(root, &set, &mut found, &mut wrong);
    }
    if wrong.is_empty() {
        return Ok(found);
    }
    Error::of(&Origin::Environment, wrong.into_iter().map(|problem| (0, problem)).collect(), &[])?;
    Ok(found)
}

impl Address {
    fn look(
        &self,
        root: &Node,
        set: &dyn Fn(&str) -> Option<String>,
        found: &mut Vec<Override>,
        wrong: &mut Vec<Problem>,
    ) {
        let written = root.get(self.path[0]).or_else(|| root.get(&self.path[0].replace('-', "_"))).is_some();
        let enabled = match set(self.enabled) {
            None => None,
            Some(text) => match switch(&text) {
                Some(on) => Some(on),
                None => {
                    wrong.push(Problem::Variable { variable: self.enabled, value: text, wanted: SWITCH });
                    return;
                }
            },
        };
        if !enabled.unwrap_or(written) {
            if written {
                found.push(Override { path: self.path, variable: self.enabled, value: None });
            }
            return;
        }
        let (variable, text) = match (set(self.address), set(self.port)) {
            (Some(address), _) => (self.address, address),
            (None, Some(port)) => (self.port, format!("127.0.0.1:{port}")),
            (None, None) if written => return,
            (None, None) => (self.enabled, self.default.to_owned()),
        };
        let is_address = text
            .rsplit_once(':')
            .is_some_and(|(host, port)| port.parse::<u16>().is_ok() && !host.contains(['/', ' ']));
        if is_address {
            found.push(Override { path: self.path, variable, value: Some(Node::text(text)) });
        } else {
            wrong.push(Problem::Variable {
                variable,
                value: text,
                wanted: "an address such as 127.0.0.1:9090",
            });
        }
    }
}

const SWITCH: &str = "true or false";

/// Returns what a word says that switches something on or off.
pub fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Reads a level: Litestream takes anything else for `info`, without a word.
fn level(text: &str) -> Option<Node> {
    let known = ["trace", "debug", "info", "warn", "warning", "error"];
    let level = text.to_ascii_lowercase();
    known.contains(&level.as_str()).then(|| Node::plain(level))
}

/// Writes a mode with the zero that Litestream wants: `0600` and `600` are the same, as in the wrapper.
fn octal(text: &str) -> Option<Node> {
    let digits = text.strip_prefix('0').unwrap_or(text);
    let is_octal = digits.len() == 3 && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    is_octal.then(|| Node::plain(format!("0{digits}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{emit, parse};

    fn overruled(text: &str, vars: &[(&str, &str)]) -> Result<String, Error> {
        let mut root = parse(text).expect("valid YAML");
        let env =
            |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        apply(&mut root, &env)?;
        Ok(emit(&root).text)
    }

    #[test]
    fn variables_fill_in_and_overrule() {
        let all = [
            ("LITESTREAM_LOG_LEVEL", "DEBUG"),
            ("LITESTREAM_SOCKET_PATH", "/run/l.sock"),
            ("LITESTREAM_SOCKET_PERMISSIONS", "660"),
            ("LITESTREAM_SOCKET_ENABLED", "false"),
            ("LITESTREAM_METRICS_ENABLED", "1"),
            ("LITESTREAM_MCP_ENABLED", "true"),
            ("LITESTREAM_MCP_PORT", "4000"),
        ];
        let expected = "logging:\n  level: debug\nsocket:\n  enabled: false\n  path: \"/run/l.sock\"\n  permissions: 0660\n\
                        addr: \"127.0.0.1:9090\"\nmcp-addr: \"127.0.0.1:4000\"\n";
        assert_eq!(overruled("", &all).as_deref(), Ok(expected));
        let file = "logging: {level: error, source: yes}\nsocket:\naddr: ':1'\nmcp_addr: ':2'\n";
        let expected = "logging:\n  level: debug\n  source: yes\nsocket:\n  enabled: false\n  path: \"/run/l.sock\"\n  \
                        permissions: 0660\naddr: \":1\"\nmcp-addr: \"127.0.0.1:4000\"\n";
        assert_eq!(overruled(file, &all).as_deref(), Ok(expected));
        assert_eq!(overruled("a: b", &[("LITESTREAM_LOG_LEVEL", "")]).as_deref(), Ok("a: b\n"));
    }

    #[test]
    fn an_address_counts_where_it_is_switched_on() {
        let address = ("LITESTREAM_METRICS_ADDRESS", ":7");
        assert_eq!(overruled("a: b", &[address]).as_deref(), Ok("a: b\n"));
        assert_eq!(overruled("addr: ':1'", &[address]).as_deref(), Ok("addr: \":7\"\n"));
        let off = ("LITESTREAM_METRICS_ENABLED", "off");
        assert_eq!(overruled("a: b\naddr: ':1'", &[address, off]).as_deref(), Ok("a: b\n"));
    }

    #[test]
    fn all_that_makes_no_sense_is_told() {
        let error = overruled(
            "",
            &[
                ("LITESTREAM_LOG_LEVEL", "loud"),
                ("LITESTREAM_SOCKET_PERMISSIONS", "rw"),
                ("LITESTREAM_SOCKET_ENABLED", "maybe"),
                ("LITESTREAM_METRICS_ENABLED", "on"),
                ("LITESTREAM_METRICS_PORT", "http"),
                ("LITESTREAM_MCP_ENABLED", "perhaps"),
            ],
        )
        .expect_err("it is wrong");
        insta::assert_snapshot!(error, @r#"
        environment: LITESTREAM_LOG_LEVEL is `loud`, but must be trace, debug, info, warn or error
        environment: LITESTREAM_SOCKET_ENABLED is `maybe`, but must be true or false
        environment: LITESTREAM_SOCKET_PERMISSIONS is `rw`, but must be an octal number such as 0600
        environment: LITESTREAM_METRICS_PORT is `127.0.0.1:http`, but must be an address such as 127.0.0.1:9090
        environment: LITESTREAM_MCP_ENABLED is `perhaps`, but must be true or false
        "#);
    }
}
