//! Tables and JSON, sizes and times.

use std::time::Duration;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use indicatif::HumanBytes;
use jiff::Timestamp;
use serde_json::Value;

use crate::error::Failure;
use crate::foreign;
use crate::printer::{self, Paint};
use crate::secrets;

/// What stands for what is not known.
const UNKNOWN: &str = "-";

/// A table with one line for each thing.
pub(super) struct Lines {
    head: Vec<&'static str>,
    rows: Vec<(Paint, Vec<String>)>,
}

impl Lines {
    /// One with these columns and no line yet; a column whose name begins with `>` has numbers.
    pub(super) fn new(head: impl Into<Vec<&'static str>>) -> Self {
        Self { head: head.into(), rows: Vec::new() }
    }

    /// Adds a line.
    pub(super) fn add(&mut self, paint: Paint, cells: impl IntoIterator<Item = String>) {
        let cell = |text: String| foreign::line(&secrets::mask(&text)).into_owned();
        self.rows.push((paint, cells.into_iter().map(cell).collect()));
    }

    /// Prints it to standard output; `empty` is said on standard error in the place of a table without lines.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn print(self, empty: &str) -> Result<(), Failure> {
        if self.rows.is_empty() {
            printer::note(empty);
            return Ok(());
        }
        printer::painted(&self.lines())
    }

    fn lines(&self) -> Vec<(Paint, String)> {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.head.iter().map(|name| name.trim_start_matches('>')));
        for (_, cells) in &self.rows {
            table.add_row(cells.iter().map(Cell::new));
        }
        let last = self.head.len().saturating_sub(1);
        for (place, name) in self.head.iter().enumerate() {
            let Some(column) = table.column_mut(place) else { continue };
            column.set_padding((0, if place == last { 0 } else { 2 }));
            if name.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let text = table.to_string();
        let paints = std::iter::once(Paint::Head).chain(self.rows.iter().map(|(paint, _)| *paint));
        paints.zip(text.lines().map(|line| line.trim_end().to_owned())).collect()
    }
}

/// Prints JSON to standard output.
///
/// # Errors
/// It cannot be written.
pub(super) fn json(value: &Value) -> Result<(), Failure> {
    printer::data(&format!("{value:#}\n"))
}

/// A number of bytes for people.
pub(super) fn size(bytes: Option<u64>) -> String {
    bytes.map_or_else(unknown, |bytes| HumanBytes(bytes).to_string())
}

/// A text that may not be known, for people.
pub(super) fn known(text: Option<impl Into<String>>) -> String {
    text.map_or_else(unknown, Into::into)
}

/// A number that may not be known, for people.
pub(super) fn number(number: Option<impl ToString>) -> String {
    known(number.map(|number| number.to_string()))
}

/// How long something took that may not have been done, for people.
pub(super) fn took(time: Option<Duration>) -> String {
    known(time.map(|time| format!("{} ms", milliseconds(time))))
}

/// The same as a number.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What is not known, for people.
pub(super) fn unknown() -> String {
    UNKNOWN.to_owned()
}

/// A time of Litestream's as RFC 3339 in UTC.
pub(super) fn time(text: &str) -> Option<String> {
    text.parse::<Timestamp>().ok().map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_line_whatever_is_in_it() {
        let mut lines = Lines::new(["NAME", ">SIZE"]);
        lines.add(Paint::Plain, ["a\nb\u{1b}[31m".to_owned(), size(Some(2048))]);
        lines.add(Paint::Bad, ["long name with ünïcode".to_owned(), size(None)]);
        let lines = lines.lines();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(lines[0].0, Paint::Head);
        assert!(lines[0].1.starts_with("NAME ") && lines[0].1.ends_with("    SIZE"), "{lines:?}");
        assert!(
            lines[2].1.starts_with("long name with ünïcode  ") && lines[2].1.ends_with(" -"),
            "{lines:?}"
        );
        assert!(!lines[1].1.contains('\u{1b}'), "{lines:?}");
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(time("2026-11-27T23:03:59.5+01:00").as_deref(), Some("2026-11-27T22:03:59.5Z"));
        assert_eq!(time("yesterday"), None);
    }
}
