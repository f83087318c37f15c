//! Values that Litestream refuses: of another type than the setting has, or out of its range.
//!
//! Litestream would name a line of the generated file, which nobody has written.

use super::table::{Key, Reading, Section, Series, Type};
use crate::config::duration::{go_duration, nanoseconds};
use crate::config::error::Problem;
use crate::yaml::{Node, NodeKind, Resolved};

/// More than the values of these settings ever have; what is longer is no typing mistake.
const LONGEST_SHOWN: usize = 40;

/// Everything in the tree that this series refuses, with the line that it is on.
///
/// Whether there is a database with a replica at all is not looked at.
pub(in crate::config) fn refused(root: &Node, series: Series) -> Vec<(usize, Problem)> {
    let mut found = Vec::new();
    if root.is_mapping() {
        section(root, Section::Top, series, &mut found);
    }
    found
}

type Found = Vec<(usize, Problem)>;

fn section(node: &Node, of: Section, series: Series, found: &mut Found) {
    let NodeKind::Mapping(entries) = &node.kind else { return };
    for (name, value) in entries {
        let Some(key) = of.key(name.key()) else { continue };
        match key.reading(series) {
            Reading::Ignored => {}
            Reading::Refused if says_something(value) => {
                found.push((value.line, Problem::NotIn05 { key: key.name }));
            }
            Reading::Refused | Reading::Read | Reading::Unused => check(value, key, of, series, found),
        }
    }
}

/// Says whether a value sets anything: Litestream takes an empty `age` for no setting.
fn says_something(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Scalar(_) => !node.is_null(),
        NodeKind::Sequence(items) => !items.is_empty(),
        NodeKind::Mapping(entries) => entries.iter().any(|(_, value)| says_something(value)),
    }
}

fn check(value: &Node, key: Key, of: Section, series: Series, found: &mut Found) {
    // yaml.v2 leaves the default as it is.
    if value.is_null() {
        return;
    }
    let fits = match key.kind {
        // An empty one is none.
        Type::Text
            if key.name == "heartbeat-url"
                && value.as_str().is_some_and(|url| !url.is_empty() && !is_http(url)) =>
        {
            return found.push((value.line, Problem::HeartbeatUrl));
        }
        Type::Text
            if key.name == "addr"
                && value.as_str().is_some_and(|address| !address.is_empty() && !has_port(address)) =>
        {
            return found.push((value.line, Problem::NoPort { key: key.name }));
        }
        Type::Text => value.as_str().is_some(),
        Type::Bool => value.as_bool().is_some(),
        Type::Int if is_number(value) => match limits(key.name) {
            (least, most, _) if is_integer(value, least, most) => true,
            (_, _, expected) => return found.push((value.line, out_of_range(key, expected))),
        },
        Type::Octal if is_number(value) && !is_integer(value, 0, 0o7777) => {
            return found.push((value.line, out_of_range(key, "between 0 and 07777")));
        }
        Type::Int | Type::Octal => is_number(value),
        Type::Duration => match nanoseconds(value) {
            Some(duration) => {
                if series == Series::V05
                    && let Some(expected) = range(of, key.name).filter(|range| !range.holds(duration))
                {
                    found.push((value.line, out_of_range(key, expected.words())));
                }
                true
            }
            None if is_go_duration(value) => {
                return found.push((value.line, out_of_range(key, "at most 2562047h")));
            }
            None => false,
        },
        Type::Size if value.as_str().and_then(size).is_some_and(|bytes| bytes > LARGEST_PART) => {
            return found.push((value.line, out_of_range(key, "at most 5GiB")));
        }
        Type::Size => value.as_str().is_some_and(is_size),
        Type::Texts => value
            .as_list()
            .is_some_and(|items| items.iter().all(|item| item.is_null() || item.as_str().is_some())),
        Type::Mapping(inside) => {
            section(value, inside, series, found);
            value.is_mapping()
        }
        Type::Mappings(inside) => return list(value, key, inside, series, found),
        Type::Litekeeper => true,
    };
    if !fits {
        found.push((value.line, wrong(value, key)));
    }
}

fn list(value: &Node, key: Key, inside: Section, series: Series, found: &mut Found) {
    let Some(items) = value.as_list() else {
        return found.push((value.line, wrong(value, key)));
    };
    for item in items {
        section(item, inside, series, found);
        if !item.is_mapping() {
            found.push((item.line, Problem::NotMapping { what: format!("an entry of `{}`", key.name) }));
        } else if inside == Section::Level && item.get("interval").is_none() {
            let kind = Type::Duration;
            let (key, expected) = ("interval", "more than 0s");
            found.push((item.line, Problem::OutOfRange { key, kind, expected }));
        }
    }
}

fn wrong(value: &Node, key: Key) -> Problem {
    // Only the types that no secret has are shown, and nothing that is kept in the environment.
    let is_kept = matches!(&value.kind, NodeKind::Scalar(scalar) if scalar.variable.is_some());
    let is_shown =
        !is_kept && matches!(key.kind, Type::Bool | Type::Int | Type::Octal | Type::Duration | Type::Size);
    let shown = value.as_str().filter(|text| is_shown && text.len() <= LONGEST_SHOWN);
    Problem::WrongType { key: key.name, kind: key.kind, value: shown.map(str::to_owned) }
}

fn out_of_range(key: Key, expected: &'static str) -> Problem {
    Problem::OutOfRange { key: key.name, kind: key.kind, expected }
}

/// The largest part that any S3 takes.
const LARGEST_PART: f64 = 5.0 * 1024.0 * 1024.0 * 1024.0;

/// The least and the most of a whole number, and both in words.
fn limits(key: &str) -> (i128, i128, &'static str) {
    match key {
        // Each is a goroutine with a part in memory.
        "concurrency" => (i64::MIN.into(), 1024, "at most 1024"),
        _ => (i64::MIN.into(), i64::MAX.into(), "between -9223372036854775808 and 9223372036854775807"),
    }
}

/// `isValidHeartbeatURL` of 0.5.17.
fn is_http(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// Whether Go splits it into a host, which may be none, and a port (`net.SplitHostPort`).
fn has_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| {
        let is_host = match host.strip_prefix('[').map(|host| host.strip_suffix(']')) {
            Some(host) => host.is_some(),
            None => !host.contains([':', ']']),
        };
        is_host && !port.is_empty() && !port.contains(['[', ']'])
    })
}

fn is_number(value: &Node) -> bool {
    matches!(value.resolve(), Some(Resolved::Int(_) | Resolved::Float(_)))
}

/// Whether it is a duration to Go, however long.
fn is_go_duration(value: &Node) -> bool {
    is_number(value) || value.as_str().is_some_and(|text| go_duration(text).is_some())
}

fn is_integer(value: &Node, lowest: i128, highest: i128) -> bool {
    match value.resolve() {
        Some(Resolved::Int(number)) => (lowest..=highest).contains(&number),
        #[expect(clippy::cast_precision_loss, reason = "Go compares in the same way")]
        Some(Resolved::Float(number)) => number >= lowest as f64 && number <= highest as f64,
        Some(Resolved::Null | Resolved::Bool(_) | Resolved::Text) | None => false,
    }
}

/// The settings of time that Litestream has limits for (`Config.Validate` of 0.5.17).
fn range(of: Section, key: &str) -> Option<Range> {
    Some(match (of, key) {
        (Section::Top, "l0-retention" | "shutdown-sync-timeout") => Range::NotNegative,
        (Section::Top, "heartbeat-interval") => Range::Minute,
        (Section::Top, "l0-retention-check-interval" | "shutdown-sync-interval")
        | (Section::Snapshot, "interval" | "retention")
        | (Section::Level, "interval")
        | (Section::Replica, "sync-interval") => Range::Positive,
        _ => return None,
    })
}

#[derive(Clone, Copy)]
enum Range {
    Positive,
    NotNegative,
    Minute,
}

impl Range {
    fn holds(self, nanoseconds: f64) -> bool {
        match self {
            Range::Positive => nanoseconds > 0.0,
            Range::NotNegative => nanoseconds >= 0.0,
            Range::Minute => nanoseconds >= 60e9,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Range::Positive => "more than 0s",
            Range::NotNegative => "0s or more",
            Range::Minute => "1m or more",
        }
    }
}

/// Whether go-humanize's `ParseBytes` takes it: `5MiB`, `1.5 GB`, `1,024`, a bare number.
pub(in crate::config) fn is_size(text: &str) -> bool {
    size(text).is_some()
}

/// How many bytes that are.
fn size(text: &str) -> Option<f64> {
    let text = text.trim();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ',');
    let number = text[..text.len() - unit.len()].replace(',', "");
    let unit = unit.trim().to_ascii_lowercase();
    let prefix =
        unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).or_else(|| unit.strip_suffix('i'));
    let prefix = prefix.unwrap_or(&unit);
    let scale: f64 = if unit.contains('i') { 1024.0 } else { 1000.0 };
    let power = match prefix {
        "" if !unit.contains('i') => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        "e" => 6,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * scale.powi(power))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn messages(yaml: &str, series: Series) -> Vec<String> {
        let root = parse(yaml).unwrap_or_else(|(line, _, problem)| panic!("{line}: {problem}"));
        refused(&root, series).iter().map(|(line, problem)| format!("{line}: {problem}")).collect()
    }

    #[test]
    fn every_type_is_known_by_its_looks() {
        let yaml = concat!(
            "addr: [a]\nlevels: {interval: 1s}\nsocket: {enabled: \"yes\", permissions: '0600'}\n",
            "snapshot: [1h]\nlogging: {stderr: 1}\nl0-retention: 7d\nverify-compaction: maybe\n",
            "part-size: wide\nroot-cas: a\ndbs:\n- path: {}\n  min-checkpoint-page-count: '1'\n",
            "  replica: {password: [hunter2], concurrency: 1.5, timeout: ''}\n",
        );
        insta::assert_snapshot!(messages(yaml, Series::V05).join("\n"), @r"
        1: `addr` must be a single text
        2: `levels` must be a list
        3: `enabled` must be true or false, without quotes, not `yes`
        3: `permissions` must be an octal number such as 0600, without quotes, not `0600`
        4: `snapshot` must be a mapping
        5: `stderr` must be true or false, without quotes, not `1`
        6: `l0-retention` must be a duration such as 10s or 1h30m, not `7d`
        7: `verify-compaction` must be true or false, without quotes, not `maybe`
        8: `part-size` must be a size such as 5MiB, not `wide`
        9: `root-cas` must be a list of texts
        11: `path` must be a single text
        12: `min-checkpoint-page-count` must be a whole number, without quotes, not `1`
        13: `password` must be a single text
        13: `timeout` must be a duration such as 10s or 1h30m, not ``
        ");
        assert_eq!(messages(yaml, Series::V03).len(), 4);
    }

    #[test]
    fn what_litestream_takes_is_taken() {
        let yaml = concat!(
            "mcp-addr: 5\nsocket: {enabled: on, permissions: 0o600}\nlevels: [{interval: 30s}]\nsnapshot:\n",
            "l0-retention: 0\nverify-compaction: ~\npart-size: 1,000.5 KiB\nconcurrency: 1e1\nunknown: [{}]\n",
            "sync-interval: 1h2m3.5s\ntimeout: -5\nreconnect-wait: .5µs\nroot-cas: [a, 5, ~]\n",
            "dbs: [{path: yes, busy-timeout: 10, replica: {password: 5, age: {identities: []}}}]\n",
        );
        assert_eq!(messages(yaml, Series::V05), [""; 0]);
    }

    #[test]
    fn limits_are_those_of_0_5() {
        let yaml = concat!(
            "heartbeat-interval: 59s\nl0-retention: -1s\nl0-retention-check-interval: 0s\n",
            "levels: [{}, {interval: 0}]\nsnapshot: {interval: 0s, retention: -1h}\n",
            "dbs: [{path: a, replica: {sync-interval: 0s, age: {identities: [x]}}}, {path: b, replica: {age: []}}]\n",
        );
        insta::assert_snapshot!(messages(yaml, Series::V05).join("\n"), @r"
        1: `heartbeat-interval` must be 1m or more
        2: `l0-retention` must be 0s or more
        3: `l0-retention-check-interval` must be more than 0s
        4: `interval` must be more than 0s
        4: `interval` must be more than 0s
        5: `interval` must be more than 0s
        5: `retention` must be more than 0s
        6: `sync-interval` must be more than 0s
        6: Litestream 0.5 refuses `age`
        6: `age` must be a mapping
        ");
        assert_eq!(messages(yaml, Series::V03), [""; 0]);
    }

    #[test]
    fn a_heartbeat_goes_to_a_server() {
        for (url, count) in
            [("''", 0), ("http://h", 0), ("https://h/x", 0), ("HTTP://h", 1), ("'%zz'", 1), ("h:80", 1)]
        {
            assert_eq!(messages(&format!("heartbeat-url: {url}\n"), Series::V05).len(), count, "{url}");
            assert_eq!(messages(&format!("heartbeat-url: {url}\n"), Series::V03).len(), 0, "{url}");
        }
    }

    #[test]
    fn numbers_have_ranges() {
        let yaml = concat!(
            "l0-retention: 9999999h\nshutdown-sync-timeout: 99999999999999999999999999\nconcurrency: 1025\npart-size: 6GiB\n",
            "max-reconnects: 99999999999999999999\nsocket: {permissions: 0777777}\nsync-interval: 1e30\n",
        );
        insta::assert_snapshot!(messages(yaml, Series::V05).join("\n"), @r"
        1: `l0-retention` must be at most 2562047h
        2: `shutdown-sync-timeout` must be at most 2562047h
        3: `concurrency` must be at most 1024
        4: `part-size` must be at most 5GiB
        5: `max-reconnects` must be between -9223372036854775808 and 9223372036854775807
        6: `permissions` must be between 0 and 07777
        7: `sync-interval` must be at most 2562047h
        ");
    }

    #[test]
    fn sizes_are_those_of_go_humanize() {
        for good in ["5MiB", "5 mb", "1.5GB", "1024", "1,024", "7k", "7ki", "3 TiB", "1B"] {
            assert!(is_size(good), "{good}");
        }
        for bad in ["", "MB", "5 bits", "-5MB", "5ib", "1.2.3MB", "5q"] {
            assert!(!is_size(bad), "{bad}");
        }
    }
}
