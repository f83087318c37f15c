//! The Markdown in the end.

use std::fmt::Write;

/// One comparison.
pub struct Row {
    /// What is measured.
    pub what: String,
    /// How many times.
    pub n: usize,
    /// Litekeeper's number, with its spread.
    pub ours: String,
    /// Whose number the other is.
    pub peer: String,
    /// The other number.
    pub theirs: String,
    /// How they compare: a ratio or a difference.
    pub compared: String,
    /// What was promised, and whether it holds.
    pub bar: Option<Bar>,
}

/// What was promised.
pub struct Bar {
    /// In words.
    pub text: String,
    /// Whether it holds.
    pub holds: bool,
}

impl Bar {
    /// At most `limit` of `unit`.
    pub fn at_most(what: &str, value: f64, limit: f64, unit: &str) -> Option<Self> {
        Some(Self { text: format!("{what} ≤ {limit} {unit}"), holds: value <= limit })
    }

    /// At least `limit` of `unit`.
    pub fn at_least(what: &str, value: f64, limit: f64, unit: &str) -> Option<Self> {
        Some(Self { text: format!("{what} ≥ {limit} {unit}"), holds: value >= limit })
    }
}

impl Row {
    /// Tells whoever waits.
    pub fn report(&self) {
        let Self { what, ours, peer, theirs, compared, .. } = self;
        eprintln!("  {what}: {ours}; {peer}: {theirs}; {compared}; {}", self.verdict());
    }

    fn verdict(&self) -> String {
        match &self.bar {
            Some(Bar { text, holds: true }) => format!("{text}: ok"),
            Some(Bar { text, holds: false }) => format!("{text}: MISSED"),
            None => "–".to_owned(),
        }
    }
}

/// All rows as a table.
pub fn markdown(rows: &[Row]) -> String {
    let mut out =
        "| what | n | litekeeper | peer | its number | compared | bar |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    for row in rows {
        let Row { what, n, ours, peer, theirs, compared, .. } = row;
        writeln!(out, "| {what} | {n} | {ours} | {peer} | {theirs} | {compared} | {} |", row.verdict())
            .expect("a String takes any text");
    }
    out
}
