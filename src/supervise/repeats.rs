//! Errors of Litestream's that come again and again: said once, and then how often.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::litestream::log::Line;
use crate::replica::helper::TRIAL;

/// How long the same error is only counted.
const SILENCE: Duration = Duration::from_secs(30);
/// How many kinds of errors are told apart; a new one takes the place of all others.
const KINDS: usize = 1000;

/// The errors that were said already.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    said: BTreeMap<String, Repeated>,
}

#[derive(Debug)]
struct Repeated {
    at: Instant,
    since: u64,
    /// The last of them.
    text: String,
}

impl Repeats {
    /// What to say of an error now: nothing if it was said a moment ago, else how often it came since.
    pub(super) fn take(&mut self, now: Instant, line: &Line) -> Option<u64> {
        let kind = kind(line);
        if let Some(said) = self.said.get_mut(&kind) {
            if now.duration_since(said.at) < SILENCE {
                said.since += 1;
                said.text.clone_from(&line.text);
                return None;
            }
            said.at = now;
            return Some(std::mem::take(&mut said.since));
        }
        if self.said.len() >= KINDS {
            self.said.clear();
        }
        self.said.insert(kind, Repeated { at: now, since: 0, text: String::new() });
        Some(0)
    }

    /// What was counted and not said, at the end.
    pub(super) fn rest(&mut self) -> impl Iterator<Item = (String, u64)> {
        let said = std::mem::take(&mut self.said).into_values();
        said.filter(|said| said.since > 0).map(|said| (said.text, said.since))
    }
}

/// The same trouble of any database: without names of its own, without what counts up, and without what a server
/// writes on each of its answers (`RequestID: 17C1, HostID: dd90,` of S3).
fn kind(line: &Line) -> String {
    let what = line.error.as_deref().unwrap_or(&line.text);
    let mut kind: String = line.text.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    for word in words(what).filter(|word| !is_code(word) && !word.contains('/')) {
        kind.push(' ');
        kind.extend(word.chars().filter(|c| !c.is_ascii_digit()));
    }
    kind
}

/// What stays of a reason when the same is asked again: all but the names and the times of requests.
pub(super) fn lasting(reason: &str) -> String {
    let lasting = words(reason).filter(|word| !is_time(word) && !word.contains(TRIAL));
    lasting.collect::<Vec<_>>().join(" ")
}

/// The words of a text, but for the names of requests.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut is_name_next = false;
    text.split_whitespace().filter(move |word| !std::mem::replace(&mut is_name_next, is_label(word)))
}

/// How long something took: `892.573µs`.
fn is_time(word: &str) -> bool {
    let is_unit = |unit: &str| matches!(unit, "ns" | "µs" | "ms" | "s");
    word.find(|c: char| !c.is_ascii_digit() && c != '.').is_some_and(|at| at > 0 && is_unit(&word[at..]))
}

/// Whether what follows is the name of one request: `RequestID:`, `request-id:`, `x-ms-request-id:`.
fn is_label(word: &str) -> bool {
    word.strip_suffix(':').is_some_and(|word| word.to_ascii_lowercase().ends_with("id"))
}

/// Whether it is a name that a machine gave: long, with digits among its letters.
fn is_code(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    word.len() >= 12 && digits >= 2 && word.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_or_times_a_request_is_left_out_of_a_reason() {
        let denied = |id: &str, host: &str| {
            lasting(&format!("a.db: 403, RequestID: {id}, HostID: {host}, NoSuchBucket"))
        };
        assert_eq!(denied("A1", "b="), denied("C2", "d"));
        assert_eq!(denied("A1", "b="), "a.db: 403, RequestID: HostID: NoSuchBucket");
        let refused =
            |pid: u32, took: &str| lasting(&format!("PUT b/.litekeeper-check-{pid} in {took} - 403"));
        assert_eq!(refused(1, "892.573µs"), refused(2, "1.2ms"));
        assert_ne!(
            lasting("s3://a/2024-tenant-0123456789: 403"),
            lasting("s3://a/2025-tenant-0123456789: 403")
        );
        assert_ne!(lasting("not within 3 s"), lasting("not within 4 s"));
    }

    #[test]
    fn what_repeats_is_said_once_and_counted() {
        let line = |n: u32| {
            Line::parse(&format!(
                r#"{{"level":"ERROR","msg":"sync error","consecutive_errors":{n},"db":"d{n}.db","error":"open /x/d{n}.db: too many open files"}}"#
            ))
        };
        let (start, mut repeats) = (Instant::now(), Repeats::default());
        assert_eq!(repeats.take(start, &line(1)), Some(0));
        for n in 2..100 {
            assert_eq!(repeats.take(start, &line(n)), None);
        }
        let other = Line::parse(r#"{"level":"ERROR","msg":"sync error","error":"NoSuchBucket"}"#);
        assert_eq!(repeats.take(start, &other), Some(0));
        let denied = |request: &str, host: &str| {
            let error = format!(
                "operation error S3: PutObject, https response error StatusCode: 403, RequestID: {request}, HostID: {host}, api error AccessDenied: Access Denied"
            );
            Line::parse(
                &serde_json::json!({"level": "ERROR", "msg": "sync error", "error": error}).to_string(),
            )
        };
        assert_eq!(repeats.take(start, &denied("4442587FB7D0A2F9", "abcdefgh")), Some(0));
        assert_eq!(repeats.take(start, &denied("ZXQWERTZUIOPASDF", "Zm9v/YmFy+w==")), None);
        assert_eq!(repeats.take(start, &denied("", "")), None);
        assert_eq!(repeats.take(start + SILENCE, &denied("A", "b")), Some(2));
        assert_eq!(repeats.take(start + SILENCE, &line(1)), Some(98));
        assert_eq!(repeats.take(start + SILENCE, &line(2)), None);
        let rest: Vec<_> = repeats.rest().collect();
        assert_eq!(rest, [(line(2).text, 1)]);
        assert_eq!(repeats.rest().count(), 0);
    }
}
