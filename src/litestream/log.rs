//! Litestream's log lines: JSON as the generated configuration asks for, plain text for fatal errors.

use serde_json::Value;

use super::ltx;
use crate::foreign::{condensed, piece};

/// How bad a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For developers.
    Debug,
    /// Normal running.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

/// One line, each part of it fit for a message of our own ([`piece`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its level.
    pub level: Level,
    /// What it says, its fields included, without the time.
    pub text: String,
    /// Its error field, or what a plain `Error:` line says.
    pub error: Option<String>,
    /// What it says by itself, and its fields, in which any name may look like another field once they are text.
    message: String,
    fields: serde_json::Map<String, Value>,
}

impl Line {
    /// Reads a line as Litestream writes it.
    pub fn parse(line: &str) -> Self {
        match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(fields)) => Self::from_fields(fields),
            Ok(_) | Err(_) => Self::from_text(line),
        }
    }

    fn from_fields(fields: serde_json::Map<String, Value>) -> Self {
        let text_of = |value: &Value| match value {
            Value::String(text) => condensed(text).into_owned(),
            other => other.to_string(),
        };
        let field = |name: &str| fields.get(name).map(text_of);
        let level = match field("level").as_deref() {
            Some("DEBUG" | "TRACE") => Level::Debug,
            Some("WARN") => Level::Warn,
            Some("ERROR") => Level::Error,
            Some(_) | None => Level::Info,
        };
        let message = field("msg").unwrap_or_default();
        // Litestream goes on from an old file here, and the newer rows leave the latest restore; but
        // a database that was just restored has no position of its own yet.
        let is_older = field("db_txid").is_some_and(|txid| txid.bytes().any(|digit| digit != b'0'));
        let level =
            if message == "detected database behind replica" && is_older { Level::Warn } else { level };
        let mut text = message.clone();
        for (name, value) in
            fields.iter().filter(|(name, _)| !matches!(name.as_str(), "time" | "level" | "msg"))
        {
            text.push_str(&format!(" {name}={}", text_of(value)));
        }
        Self { level, text: piece(&text), error: field("error").as_deref().map(piece), message, fields }
    }

    fn from_text(line: &str) -> Self {
        let line = line.trim_end();
        // `Error:` of 0.5.12 and later; slog's text and the log package's prefix before that.
        let fatal = line
            .strip_prefix("Error: ")
            .or_else(|| line.split_once(" level=ERROR ").map(|(_, rest)| rest))
            .or_else(|| line.split_once(" ERROR ").map(|(_, rest)| rest));
        let level = if fatal.is_some() { Level::Error } else { Level::Info };
        let text = piece(fatal.unwrap_or(line));
        let (message, fields) = (text.clone(), serde_json::Map::new());
        Self { level, text, error: fatal.map(piece), message, fields }
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }

    /// Returns the base name of the database that it is about.
    pub fn database(&self) -> Option<&str> {
        self.field("db")
    }

    /// Returns the base name of the database that Litestream has just opened without any position of its own, where
    /// the replica already holds a backup.
    pub fn finds_a_backup(&self) -> Option<&str> {
        let is_new = ltx::txid(self.field("db_txid")?)? == 0;
        (self.message == "detected database behind replica" && is_new).then(|| self.field("db")).flatten()
    }

    /// Returns the base name of a database of which a snapshot was uploaded, and the transaction that it reaches to.
    pub fn snapshot(&self) -> Option<(&str, u64)> {
        let (name, txid) = (self.field("db")?, ltx::txid(self.field("txid")?)?);
        (self.message == "snapshot complete").then_some((name, txid))
    }

    /// Says whether the replica has one transaction more (`Replica.uploadLTXFile`).
    pub fn is_upload(&self) -> bool {
        self.message == "ltx file uploaded"
    }

    /// Says whether this line, after the shim has ended, says that something did not reach a replica.
    ///
    /// 0.5.5 reports a finished transaction at each orderly close, and both series report the periodic
    /// sync that the close breaks off; the final one comes after it, with a context of its own.
    pub fn is_failed_final_sync(&self) -> bool {
        let is_periodic = ["monitor error", "sync error"].iter().any(|start| self.text.starts_with(start));
        self.level == Level::Error
            && !self.text.contains("transaction has already been committed or rolled back")
            && !(is_periodic && self.text.contains("context canceled"))
    }
}

/// Returns the last line of a command's output that reports an error, whatever the command ended with.
pub fn last_reported_error(output: &str) -> Option<String> {
    let output = condensed(output);
    let lines = output.lines().map(Line::parse).filter(|line| line.level == Level::Error);
    lines.map(|line| line.error.unwrap_or(line.text)).next_back()
}

/// Returns the last error among the lines of a command that failed, for a message of our own.
pub fn last_error(output: &str) -> Option<String> {
    let output = condensed(output);
    let lines = output.lines().filter(|line| !line.trim().is_empty()).map(Line::parse);
    lines.filter_map(|line| line.error).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_keep_their_fields() {
        let line = Line::parse(
            r#"{"time":"2026-01-01T00:00:00Z","level":"ERROR","msg":"monitor error","db":"a.db","error":"no such bucket"}"#,
        );
        assert_eq!(line.level, Level::Error);
        assert_eq!(line.text, "monitor error db=a.db error=no such bucket");
        assert_eq!(line.error.as_deref(), Some("no such bucket"));
    }

    #[test]
    fn an_answer_of_azures_is_one_line() {
        let rule = "-".repeat(80);
        let answer = |code: &str, status: &str| {
            format!(
                "abs: cannot list blobs: GET http://127.0.0.1:1/a/c\n{rule}\nRESPONSE {}: {status}\nERROR CODE: {code}\n{rule}\n<?xml version=\"1.0\"?>\n<Error>\n  <Code>{code}</Code>\n</Error>\n{rule}\n",
                &status[..3]
            )
        };
        let denied = answer("AuthorizationFailure", "403 Server failed to authenticate the request.");
        let said = "abs: cannot list blobs: GET http://127.0.0.1:1/a/c: 403 Server failed to authenticate the request. (AuthorizationFailure)";
        let output = format!("Error: cannot calc restore plan: {denied}\n");
        assert_eq!(last_error(&output).as_deref(), Some(&*format!("cannot calc restore plan: {said}")));
        let line = serde_json::json!({"level": "ERROR", "msg": "sync error", "error": denied}).to_string();
        assert_eq!(Line::parse(&line).error.as_deref(), Some(said));
        assert_eq!(Line::parse(&line).text, format!("sync error error={said}"));
    }

    #[test]
    fn a_snapshot_is_named_with_its_transaction() {
        let said = |name: &str| {
            let fields = serde_json::json!({"level": "INFO", "msg": "snapshot complete", "system": "store", "db": name,
                "txid": "00000000000000a3", "size": 268294});
            Line::parse(&fields.to_string())
        };
        assert_eq!(said("app.db").snapshot(), Some(("app.db", 0xa3)));
        assert_eq!(said("a size=1 txid=2.db").snapshot(), Some(("a size=1 txid=2.db", 0xa3)));
        assert_eq!(
            Line::parse(r#"{"msg":"compaction complete","db":"a","size":1,"txid":"1"}"#).snapshot(),
            None
        );
    }

    #[test]
    fn a_name_is_no_other_field() {
        for name in ["app.db", "a db_txid=0000000000000000 x", "a\nb size=1 txid=0000000000000001"] {
            let fields = serde_json::json!({"level": "INFO", "msg": "detected database behind replica", "db": name,
                "db_txid": "0000000000000000", "replica_txid": "0000000000000009"});
            assert_eq!(Line::parse(&fields.to_string()).finds_a_backup(), Some(name));
        }
        let said = "detected database behind replica db=app.db db_txid=0000000000000000";
        assert_eq!(Line::parse(said).finds_a_backup(), None, "litestream writes JSON");
    }

    #[test]
    fn plain_errors_of_both_series_are_errors() {
        let new = Line::parse("Error: cannot open store");
        let old = Line::parse("2026/11/21 04:25:23 ERROR failed to run error=\"x\"");
        assert_eq!((new.level, new.error.as_deref()), (Level::Error, Some("cannot open store")));
        assert_eq!((old.level, old.error.as_deref()), (Level::Error, Some("failed to run error=\"x\"")));
        assert_eq!(Line::parse("usage: …").level, Level::Info);
    }

    #[test]
    fn a_database_behind_its_replica_is_more_than_information() {
        let level = |txid: &str| {
            Line::parse(&format!(
                r#"{{"level":"INFO","msg":"detected database behind replica","db_txid":"{txid}"}}"#
            ))
            .level
        };
        assert_eq!(level("0000000000000001"), Level::Warn);
        assert_eq!(level("0000000000000000"), Level::Info, "it was just restored");
    }

    #[test]
    fn a_periodic_sync_that_the_close_breaks_off_is_not_the_final_one() {
        let failed = |message: &str, error: &str| {
            let line = serde_json::json!({"level": "ERROR", "msg": message, "error": error}).to_string();
            Line::parse(&line).is_failed_final_sync()
        };
        assert!(!failed("monitor error", "cannot determine replica position: context canceled"));
        assert!(failed("monitor error", "NoSuchBucket"));
        assert!(failed("error closing db", "context canceled"));
        assert!(!failed("failed to close database", "transaction has already been committed or rolled back"));
    }

    #[test]
    fn the_last_error_is_the_reason() {
        let output = "{\"level\":\"INFO\",\"msg\":\"x\"}\nError: first\nError: second\n\n";
        assert_eq!(last_error(output).as_deref(), Some("second"));
        assert_eq!(last_error("nothing"), None);
        let listing = "time=2026-11-21T04:53:43Z level=ERROR msg=\"cannot determine generations\" error=\"NoSuchBucket\"\n\
                       replica  generation  index  offset  size  created\n";
        assert!(last_reported_error(listing).is_some_and(|error| error.contains("NoSuchBucket")));
        assert_eq!(
            last_reported_error(
                "{\"level\":\"WARN\",\"msg\":\"slow\",\"error\":\"again\"}\nreplica  generation\n"
            ),
            None
        );
    }
}
