//! The numbers, in Prometheus' text format, or as OpenMetrics has it (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::Write as _;

use crate::status::{App, Database, Document, Keeper, Litestream, Memory};

/// How the text is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Version 0.0.4 of the older one.
    Prometheus,
    /// Version 1.0.0.
    OpenMetrics,
}

impl Dialect {
    /// What a client takes that sends this.
    pub(super) fn of(accept: Option<&str>) -> Self {
        match accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }
}

/// All of them.
pub(super) fn text(document: &Document, dialect: Dialect) -> String {
    let mut lines = Lines { text: String::new(), dialect };
    if let Some(keeper) = &document.keeper {
        of_keeper(&mut lines, keeper);
    }
    if let Some(app) = &document.app {
        of_app(&mut lines, app);
    }
    if let Some(litestream) = &document.litestream {
        of_litestream(&mut lines, litestream);
    }
    if let Some(Memory { used_bytes, limit_bytes }) = document.memory {
        lines.one("litekeeper_memory_used_bytes", "What the container uses.", Some(number(used_bytes)));
        lines.one("litekeeper_memory_limit_bytes", "What the container may use.", Some(number(limit_bytes)));
    }
    of_databases(&mut lines, &document.databases);
    if dialect == Dialect::OpenMetrics {
        lines.text.push_str("# EOF\n");
    }
    lines.text
}

fn of_keeper(lines: &mut Lines, keeper: &Keeper) {
    lines.gauge(
        "litekeeper_build_info",
        "Which litekeeper it is.",
        [(&[("version", keeper.version.as_str())][..], Some(1.0))],
    );
    lines.one(
        "litekeeper_start_time_seconds",
        "When the keeper started, in seconds since 1970.",
        seconds(keeper.started_at.as_deref()),
    );
    lines.one(
        "litekeeper_ready",
        "Whether the app runs and no replica is too far behind.",
        Some(flag(keeper.ready)),
    );
    lines.gauge(
        "litekeeper_phase_info",
        "Where the unit is.",
        [(&[("phase", keeper.phase.as_str())][..], Some(1.0))],
    );
}

fn of_app(lines: &mut Lines, app: &App) {
    lines.one("litekeeper_app_up", "Whether the app runs.", Some(flag(app.pid.is_some())));
    lines.one(
        "litekeeper_app_start_time_seconds",
        "When the app started, in seconds since 1970.",
        seconds(app.started_at.as_deref()),
    );
    lines.counter("litekeeper_app_restarts", "How often the app was started again.", app.restarts);
}

fn of_litestream(lines: &mut Lines, litestream: &Litestream) {
    lines.one("litekeeper_litestream_up", "Whether Litestream runs.", Some(flag(litestream.pid.is_some())));
    let started = seconds(litestream.started_at.as_deref());
    lines.one(
        "litekeeper_litestream_start_time_seconds",
        "When Litestream started, in seconds since 1970.",
        started,
    );
    lines.counter(
        "litekeeper_litestream_restarts",
        "How often Litestream was started again.",
        litestream.restarts,
    );
    let memory = litestream.memory_bytes.map(number);
    lines.one("litekeeper_litestream_memory_bytes", "What Litestream has in memory.", memory);
    if let Some(version) = &litestream.version {
        let labels = [("version", version.as_str())];
        lines.gauge("litekeeper_litestream_info", "Which Litestream it is.", [(&labels[..], Some(1.0))]);
    }
}

/// What is told of a database.
type Told = fn(&Database) -> Option<f64>;

/// Each of its numbers.
const OF_DATABASE: [(&str, &str, Told); 7] = [
    (
        "replicated",
        "Whether all of the database but its youngest changes is confirmed on its replica.",
        |one| (one.state != "unknown").then(|| flag(one.state == "replicated")),
    ),
    ("lag_seconds", "The age of the oldest change that is not confirmed.", |one| one.lag_seconds),
    ("size_bytes", "The size of the database.", |one| one.size_bytes.map(number)),
    ("wal_bytes", "The size of its WAL.", |one| one.wal_bytes.map(number)),
    ("txid", "How far Litestream has copied it.", |one| txid(one.txid.as_deref())),
    ("replicated_txid", "How far that is confirmed on its replica.", |one| {
        txid(one.replicated_txid.as_deref())
    }),
    ("last_confirmed_timestamp_seconds", "When a change was confirmed last, in seconds since 1970.", |one| {
        seconds(one.last_confirmed_at.as_deref())
    }),
];

fn of_databases(lines: &mut Lines, databases: &[Database]) {
    for (name, help, told) in OF_DATABASE {
        let labels: Vec<Vec<(&str, &str)>> = databases.iter().map(labels).collect();
        let samples = labels.iter().zip(databases).map(|(labels, one)| (labels.as_slice(), told(one)));
        lines.gauge(&format!("litekeeper_database_{name}"), help, samples);
    }
}

fn labels(one: &Database) -> Vec<(&str, &str)> {
    let alias = one.alias.as_deref().map(|alias| ("alias", alias));
    [("database", one.path.as_str())].into_iter().chain(alias).collect()
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

#[expect(clippy::cast_precision_loss, reason = "what a metric is in all of its formats")]
fn number(number: u64) -> f64 {
    number as f64
}

fn txid(text: Option<&str>) -> Option<f64> {
    u64::from_str_radix(text?, 16).ok().map(number)
}

fn seconds(text: Option<&str>) -> Option<f64> {
    let at: jiff::Timestamp = text?.parse().ok()?;
    Some(at.as_duration().as_secs_f64())
}

/// The text as it gets longer.
struct Lines {
    text: String,
    dialect: Dialect,
}

impl Lines {
    fn one(&mut self, name: &str, help: &str, value: Option<f64>) {
        self.gauge(name, help, [(&[][..], value)]);
    }

    /// What has no sample has no lines either.
    fn gauge<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (&'a [(&'a str, &'a str)], Option<f64>)>,
    ) {
        let mut is_first = true;
        for (labels, value) in samples {
            let Some(value) = value else { continue };
            if std::mem::take(&mut is_first) {
                self.head(name, "gauge", help);
            }
            self.sample(name, labels, value);
        }
    }

    /// Its name without the `_total` that its sample has.
    fn counter(&mut self, name: &str, help: &str, value: u64) {
        let total = format!("{name}_total");
        self.head(if self.dialect == Dialect::OpenMetrics { name } else { &total }, "counter", help);
        self.sample(&total, &[], number(value));
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a text cannot fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        for (place, (label, of)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{label}=\"{}\"", if place == 0 { '{' } else { ',' }, escaped(of));
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

/// What a value of a label has in the place of what would end it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        let keeper = Keeper {
            pid: 1,
            version: "0.1.0".to_owned(),
            started_at: Some("1970-01-01T00:00:01.5Z".to_owned()),
            phase: "running".to_owned(),
            ready: true,
            reasons: Vec::new(),
        };
        let database = |path: &str, alias: Option<&str>| Database {
            path: path.to_owned(),
            alias: alias.map(str::to_owned),
            state: "replicated".to_owned(),
            txid: Some("00000000000000ff".to_owned()),
            ..Database::default()
        };
        let databases = vec![database("/a", None), database("/\"b\\\n", Some("b"))];
        let app = App { pid: None, command: String::new(), started_at: None, restarts: 2, last_exit: None };
        Document { keeper: Some(keeper), app: Some(app), databases, ..Document::of_another() }
    }

    #[test]
    fn what_is_known_is_there_and_nothing_else() {
        let text = text(&document(), Dialect::Prometheus);
        for line in [
            "litekeeper_build_info{version=\"0.1.0\"} 1",
            "litekeeper_start_time_seconds 1.5",
            "litekeeper_app_up 0",
            "# TYPE litekeeper_app_restarts_total counter",
            "litekeeper_app_restarts_total 2",
            "litekeeper_database_txid{database=\"/a\"} 255",
            "litekeeper_database_replicated{database=\"/\\\"b\\\\\\n\",alias=\"b\"} 1",
        ] {
            assert!(text.lines().any(|one| one == line), "no {line}: {text}");
        }
        assert!(!text.contains("lag_seconds") && !text.contains("EOF"), "nobody knows: {text}");
    }

    #[test]
    fn its_successor_names_counters_otherwise_and_has_an_end() {
        let text =
            text(&document(), Dialect::of(Some("text/plain, application/openmetrics-text; version=1.0.0")));
        assert!(text.contains("# TYPE litekeeper_app_restarts counter\nlitekeeper_app_restarts_total 2\n"));
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_lines_of_one_number_stand_together() {
        let text = text(&document(), Dialect::Prometheus);
        let mut families: Vec<&str> = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            if families.last() != Some(&name) {
                assert!(!families.contains(&name), "{name} is there twice");
                families.push(name);
            }
        }
    }
}
