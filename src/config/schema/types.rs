//! Values that Litestream refuses: of another type than the setting has, or out of its range.
//!
//! Litestream would name a line of the generated file, which is not the user's.

use super::table::{Key, Reading, Section, Series, Type};
use super::walk::{KeyValue, walk};
use crate::config::duration::{go_duration, nanoseconds};
use crate::config::error::Problem;
use crate::config::output::redact::is_reference;
use crate::yaml::{Node, NodeKind, Resolved};

/// No name of a setting is nearly as long, nor any value that is a typing mistake.
pub(in crate::config) const LONGEST_SHOWN: usize = 64;

/// Returns everything in the tree that this series refuses, or takes for something else than it looks like
/// ([`Problem::is_taken`]), with the place that it is at.
///
/// Whether there is a database with a replica at all is not looked at.
pub(in crate::config) fn refused(root: &Node, series: Series) -> Vec<(&Node, Problem)> {
    let mut found = Vec::new();
    walk(root, Section::Top, &mut |entry| {
        let Some(key) = entry.key else { return false };
        match key.reading(series) {
            // yaml.v2 leaves the default as it is where nothing is said.
            _ if entry.value.is_null() || is_reference(entry.value) => false,
            Reading::Refused if says_something(entry.value) => {
                found.push((entry.name, Problem::NotIn05 { key: key.name, section: entry.section }));
                false
            }
            Reading::Ignored if !key.is_own() => false,
            Reading::Refused | Reading::Read | Reading::Unused | Reading::Ignored => {
                check(entry, key, series, &mut found);
                true
            }
        }
    });
    found
}

/// Says whether a value sets anything: Litestream takes an empty `age` for no setting.
fn says_something(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Scalar(_) => !node.is_null(),
        NodeKind::Sequence(items) => !items.is_empty(),
        NodeKind::Mapping(entries) => entries.iter().any(|(_, value)| says_something(value)),
    }
}

fn check<'a>(entry: KeyValue<'a>, key: Key, series: Series, found: &mut Vec<(&'a Node, Problem)>) {
    let KeyValue { section, value, .. } = entry;
    let out_of_range = |expected| Problem::OutOfRange { key: key.name, kind: key.kind, expected };
    let text = value.as_str();
    let is_right = match key.kind {
        Type::Text => match text.and_then(|text| wrong_text(text, key)) {
            Some(problem) => return found.push((value, problem)),
            None => text.is_some(),
        },
        Type::Bool => value.as_bool().is_some(),
        Type::Int if is_number(value) => match limits(key.name) {
            (least, most, _) if is_integer(value, least, most) => true,
            (_, _, expected) => return found.push((value, out_of_range(expected))),
        },
        Type::Octal if is_number(value) && !is_integer(value, 0, 0o7777) => {
            return found.push((value, out_of_range("between 0 and 07777")));
        }
        Type::Octal => match (value.resolve(), text) {
            (Some(Resolved::Int(number)), Some(text)) if !text.starts_with('0') => {
                let text = clipped(text);
                return found.push((value, Problem::NotOctal { key: key.name, text, number }));
            }
            (resolved, _) => matches!(resolved, Some(Resolved::Int(_))),
        },
        Type::Int => false,
        Type::Duration => match nanoseconds(value) {
            Some(duration) => {
                let range = range(section, key.name).filter(|_| series == Series::V05);
                found.extend(wrong_duration(value, key, duration, range).map(|problem| (value, problem)));
                true
            }
            None if is_go_duration(value) => return found.push((value, out_of_range("at most 2562047h"))),
            None => false,
        },
        Type::Size if text.and_then(size).is_some_and(|bytes| bytes > LARGEST_PART) => {
            return found.push((value, out_of_range("at most 5GiB")));
        }
        Type::Size => text.is_some_and(|text| size(text).is_some()),
        Type::Texts => match value.as_list() {
            Some(items) => {
                let wrong = items.iter().filter(|item| !item.is_null() && item.as_str().is_none());
                found.extend(wrong.map(|item| (item, wrong_type(item, key.name, key.kind))));
                true
            }
            None => false,
        },
        // The name of a template.
        Type::Mapping(Section::Replica) => value.is_mapping() || text.is_some(),
        Type::Mapping(_) => value.is_mapping(),
        Type::Mappings(inside) => {
            let items = value.as_list();
            let wrong = |item| wrong_item(item, key, inside).map(|problem| (item, problem));
            found.extend(items.into_iter().flatten().filter_map(wrong));
            items.is_some()
        }
        // `config::own` reads it, and says what is wrong with it.
        Type::Litekeeper => true,
    };
    if !is_right {
        found.push((value, wrong_type(value, key.name, key.kind)));
    }
}

/// What is wrong with a text that has to have a form. An empty one means none.
fn wrong_text(text: &str, key: Key) -> Option<Problem> {
    match key.name {
        "heartbeat-url" if !text.is_empty() && !is_http(text) => Some(Problem::HeartbeatUrl),
        "addr" if !text.is_empty() && !has_port(text) => Some(Problem::NoPort { key: key.name }),
        _ => None,
    }
}

/// What is wrong with a duration, in nanoseconds: it has no unit, or is not in the range that its key has.
fn wrong_duration(value: &Node, key: Key, duration: f64, range: Option<Range>) -> Option<Problem> {
    let missed = range.filter(|range| !range.holds(duration));
    match value.as_str().filter(|_| is_number(value) && duration != 0.0) {
        Some(text) => {
            let (text, is_taken) = (clipped(text), missed.is_none());
            Some(Problem::BareDuration { key: key.name, text, is_taken })
        }
        None => {
            missed.map(|range| Problem::OutOfRange { key: key.name, kind: key.kind, expected: range.words() })
        }
    }
}

fn wrong_item(item: &Node, key: Key, inside: Section) -> Option<Problem> {
    let is_name = inside == Section::Replica && item.as_str().is_some();
    if !item.is_mapping() {
        return (!is_name).then(|| not_mapping(key.name));
    }
    let is_empty = inside == Section::Level && item.get("interval").is_none();
    let (key, kind, expected) = ("interval", Type::Duration, "more than 0s");
    is_empty.then_some(Problem::OutOfRange { key, kind, expected })
}

/// Returns what is said of an entry of a list of mappings that is something else.
pub(in crate::config) fn not_mapping(list: &str) -> Problem {
    Problem::NotMapping { what: format!("an entry of `{list}`") }
}

/// Returns what is said of a value of another type than its setting has.
pub(in crate::config) fn wrong_type(value: &Node, key: &'static str, kind: Type) -> Problem {
    let (is, is_plain) = match &value.kind {
        NodeKind::Mapping(_) => ("mapping", true),
        NodeKind::Sequence(_) => ("list", true),
        NodeKind::Scalar(scalar) => match scalar.resolve() {
            // Of a list's items.
            Resolved::Null => ("null", true),
            Resolved::Bool(_) => ("truth value", true),
            Resolved::Int(_) | Resolved::Float(_) => ("number", true),
            Resolved::Text => ("text", scalar.plain),
        },
    };
    // Only the types that no secret has are shown, and nothing that is kept in the environment.
    let is_kept = matches!(&value.kind, NodeKind::Scalar(scalar) if scalar.variable.is_some());
    let is_shown =
        !is_kept && matches!(kind, Type::Bool | Type::Int | Type::Octal | Type::Duration | Type::Size);
    let shown = value.as_str().filter(|_| is_shown);
    Problem::WrongType { key, kind, is, is_plain, value: shown.map(clipped) }
}

/// Shortens a text of the file that is shown: it may be as long as the file.
pub(in crate::config) fn clipped(text: &str) -> String {
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The largest part that any S3 takes.
const LARGEST_PART: f64 = 5.0 * 1024.0 * 1024.0 * 1024.0;

/// Returns the least and the most of a whole number, and both in words.
fn limits(key: &str) -> (i128, i128, &'static str) {
    match key {
        // Each is a goroutine with a part in memory.
        "concurrency" => (i64::MIN.into(), 1024, "at most 1024"),
        _ => (i64::MIN.into(), i64::MAX.into(), "between -9223372036854775808 and 9223372036854775807"),
    }
}

/// Says whether `isValidHeartbeatURL` of 0.5.17 holds.
fn is_http(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// Says whether Go splits it into a host, which may be none, and a port (`net.SplitHostPort`).
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

/// Says whether it is a duration to Go, however long.
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

/// Returns the settings of time that Litestream has limits for (`Config.Validate` of 0.5.17).
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

/// Says how many bytes go-humanize's `ParseBytes` takes it for: `5MiB`, `1.5 GB`, `1,024`, a bare number.
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
        refused(&root, series).iter().map(|(at, problem)| format!("{}: {problem}", at.line)).collect()
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
        1: `addr` must be a single text, not a list
        2: `levels` must be a list of mappings, not a mapping
        3: `enabled` must be true or false without quotes, not the text `yes`
        3: `permissions` must be an octal number such as 0600 without quotes, not the text `0600`
        4: `snapshot` must be a mapping, not a list
        5: `stderr` must be true or false without quotes, not the number `1`
        6: `l0-retention` must be a duration such as 10s or 1h30m, not the text `7d`
        7: `verify-compaction` must be true or false without quotes, not the text `maybe`
        8: `part-size` must be a size such as 5MiB, not the text `wide`
        9: `root-cas` must be a list of texts, not a text
        11: `path` must be a single text, not a mapping
        12: `min-checkpoint-page-count` must be a whole number without quotes, not the text `1`
        13: `password` must be a single text, not a list
        13: `timeout` must be a duration such as 10s or 1h30m, not the text ``
        ");
        assert_eq!(messages(yaml, Series::V03).len(), 5);
    }

    #[test]
    fn what_litestream_takes_is_taken() {
        let yaml = concat!(
            "mcp-addr: 5\nsocket: {enabled: on, permissions: 0o600}\nlevels: [{interval: 30s}]\nsnapshot:\n",
            "l0-retention: 0\nverify-compaction: ~\npart-size: 1,000.5 KiB\nconcurrency: 1e1\nunknown: [{}]\n",
            "sync-interval: 1h2m3.5s\ntimeout: -5\nreconnect-wait: .5µs\nroot-cas: [a, 5, ~]\n",
            "dbs: [{path: yes, busy-timeout: 10, replica: {password: 5, age: {identities: []}}}]\n",
        );
        assert_eq!(
            messages(yaml, Series::V05),
            [
                "11: `timeout: -5` is -5 nanoseconds to Litestream",
                "14: `busy-timeout: 10` is 10 nanoseconds to Litestream"
            ]
        );
        let root = parse(yaml).unwrap_or_else(|(line, _, problem)| panic!("{line}: {problem}"));
        assert!(refused(&root, Series::V05).iter().all(|(_, problem)| problem.is_taken()));
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
        6: `age` of a replica is refused by Litestream 0.5
        6: `age` must be a mapping, not a list
        ");
        assert_eq!(messages(yaml, Series::V03), ["6: `age` must be a mapping, not a list"]);
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
            assert!(size(good).is_some(), "{good}");
        }
        for bad in ["", "MB", "5 bits", "-5MB", "5ib", "1.2.3MB", "5q"] {
            assert!(size(bad).is_none(), "{bad}");
        }
    }
}
