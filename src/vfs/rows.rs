//! What is printed of rows, one after the other: no more of them is kept than a table needs to find the widths of its columns.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use rusqlite::types::ValueRef;
use serde_json::Value;

use super::job::Format;
use crate::foreign::{self, is_obeyed};
use crate::os::watchdog;

/// So many rows, or bytes of them, say how wide the columns of a table are.
const SAMPLE_ROWS: usize = 200;
const SAMPLE_BYTES: usize = 64 << 10;
/// A column is no wider, whatever is in it: what is longer goes over its end.
const WIDEST: usize = 60;
/// So many bytes of a blob are in a table.
const BLOB: usize = 32;
/// So much is written at once.
const PIECE: usize = 32 << 10;

/// The rows of one statement on standard output.
pub(super) struct Output {
    format: Format,
    is_terminal: bool,
    text: String,
    names: Vec<String>,
    rows: u64,
    table: Sample,
}

/// The first rows of a table.
#[derive(Default)]
struct Sample {
    cells: Vec<Vec<Cell>>,
    bytes: usize,
    /// Known once the sample is full.
    widths: Option<Vec<usize>>,
}

/// One field of a table.
struct Cell {
    text: String,
    is_number: bool,
}

impl Output {
    /// Rows of this shape.
    pub(super) fn new(format: Format, names: &[&str]) -> Self {
        let names = unlike(names);
        let is_terminal = io::stdout().is_terminal();
        let mut output =
            Self { format, is_terminal, text: String::new(), names, rows: 0, table: Sample::default() };
        if format == Format::Csv {
            let head = output.names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",");
            output.text.push_str(&format!("{head}\r\n"));
        }
        output
    }

    /// Adds one.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn row(&mut self, values: &[ValueRef<'_>]) -> io::Result<()> {
        match self.format {
            Format::Table => self.table_row(values),
            Format::Json => self.json_row(values),
            Format::Csv => {
                let row = values.iter().map(|value| csv(*value)).collect::<Vec<_>>().join(",");
                self.text.push_str(&row);
                self.text.push_str("\r\n");
            }
        }
        self.rows += 1;
        if self.text.len() >= PIECE { self.write() } else { Ok(()) }
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// As [`Output::row`].
    pub(super) fn end(mut self) -> io::Result<()> {
        match self.format {
            Format::Table => self.widen(),
            Format::Json => self.text.push_str(if self.rows == 0 { "[]\n" } else { "\n]\n" }),
            Format::Csv => {}
        }
        self.write()
    }

    fn json_row(&mut self, values: &[ValueRef<'_>]) {
        self.text.push_str(if self.rows == 0 { "[\n  {" } else { ",\n  {" });
        for (place, (name, value)) in self.names.iter().zip(values).enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            let name = foreign::json(&Value::from(name.as_str()));
            // A String takes everything.
            let _ = write!(self.text, "{comma}{name}: {}", json(*value));
        }
        self.text.push('}');
    }

    fn table_row(&mut self, values: &[ValueRef<'_>]) {
        let cells: Vec<Cell> = values.iter().map(|value| Cell::of(*value)).collect();
        if let Some(widths) = &self.table.widths {
            return line(&mut self.text, widths, &cells);
        }
        self.table.bytes += cells.iter().map(|cell| cell.text.len()).sum::<usize>();
        self.table.cells.push(cells);
        if self.table.cells.len() >= SAMPLE_ROWS || self.table.bytes >= SAMPLE_BYTES {
            self.widen();
        }
    }

    /// Finds the widths, and writes what was kept for that.
    fn widen(&mut self) {
        if self.table.widths.is_some() {
            return;
        }
        let head: Vec<Cell> = self.names.iter().map(|name| Cell::text(name)).collect();
        let cells = std::mem::take(&mut self.table.cells);
        let mut widths = vec![0; head.len()];
        for row in std::iter::once(&head).chain(&cells) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().min(WIDEST).max(*width);
            }
        }
        line(&mut self.text, &widths, &head);
        let rule: Vec<Cell> = widths.iter().map(|width| Cell::text(&"-".repeat(*width))).collect();
        line(&mut self.text, &widths, &rule);
        cells.iter().for_each(|row| line(&mut self.text, &widths, row));
        self.table.widths = Some(widths);
    }

    /// Whoever reads may take his time: the limit is for the replica.
    fn write(&mut self) -> io::Result<()> {
        let text = std::mem::take(&mut self.text);
        let text = if self.is_terminal && self.format == Format::Csv {
            escaped(&text.replace('\r', ""), |c| c != '\n').into_owned()
        } else {
            text
        };
        watchdog::disarm();
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }
}

/// The names, each once: JSON has one value for each.
fn unlike(names: &[&str]) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut found: Vec<String> = Vec::new();
    for name in names {
        let count = seen.entry((*name).to_owned()).or_default();
        let mut one = if *count == 0 { (*name).to_owned() } else { format!("{name}:{count}") };
        while found.contains(&one) {
            *count += 1;
            one = format!("{name}:{count}");
        }
        *count += 1;
        found.push(one);
    }
    found
}

fn line(text: &mut String, widths: &[usize], cells: &[Cell]) {
    let mut row = String::new();
    for (place, (width, cell)) in widths.iter().zip(cells).enumerate() {
        let gap = " ".repeat(width.saturating_sub(cell.width()));
        let before = if place == 0 { "" } else { "  " };
        match cell.is_number {
            true => row.extend([before, &gap, &cell.text]),
            false => row.extend([before, &cell.text, &gap]),
        }
    }
    text.push_str(row.trim_end());
    text.push('\n');
}

impl Cell {
    fn of(value: ValueRef<'_>) -> Self {
        let text = match value {
            ValueRef::Null => "NULL".to_owned(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => real(number),
            ValueRef::Text(text) => return Self::text(&String::from_utf8_lossy(text)),
            ValueRef::Blob(bytes) if bytes.len() <= BLOB => format!("x'{}'", hex(bytes)),
            ValueRef::Blob(bytes) => format!("x'{}…' ({} bytes)", hex(&bytes[..BLOB]), bytes.len()),
        };
        let is_number = matches!(value, ValueRef::Integer(_) | ValueRef::Real(_));
        Self { text, is_number }
    }

    /// On one line, without what a terminal would obey.
    fn text(text: &str) -> Self {
        Self { text: escaped(text, |_| true).into_owned(), is_number: false }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// A text in which what a terminal would obey is written out, where `counts` says so.
fn escaped(text: &str, counts: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_meant = |c: char| is_obeyed(c) && counts(c);
    if !text.contains(is_meant) {
        return Cow::Borrowed(text);
    }
    let mut found = String::with_capacity(text.len());
    for c in text.chars() {
        if is_meant(c) {
            found.extend(c.escape_default());
        } else {
            found.push(c);
        }
    }
    Cow::Owned(found)
}

/// A field of RFC 4180: NULL is nothing, an empty text is `""`.
fn csv(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => real(number),
        ValueRef::Text(text) => quoted(&String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => hex(bytes),
    }
}

fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty() && !text.contains([',', '"', '\r', '\n']) && text.trim() == text;
    if is_plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

fn json(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => real(number),
        ValueRef::Text(text) => foreign::json(&Value::from(String::from_utf8_lossy(text))),
        ValueRef::Blob(bytes) => format!("\"{}\"", hex(bytes)),
    }
}

/// As SQLite writes it: always with a point or an exponent, and what is infinite as a number that is too large.
fn real(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "9.0e+999" } else { "-9.0e+999" }.to_owned();
    }
    format!("{number:?}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: [ValueRef<'_>; 5] = [
        ValueRef::Null,
        ValueRef::Integer(i64::MIN),
        ValueRef::Real(1.0),
        ValueRef::Text(b"a,\"b\"\n\x1b[31m"),
        ValueRef::Blob(b"\x00\xff"),
    ];

    fn printed(format: Format, names: &[&str], rows: &[&[ValueRef<'_>]]) -> String {
        let mut output = Output::new(format, names);
        rows.iter().for_each(|row| match format {
            Format::Table => output.table_row(row),
            Format::Json | Format::Csv => output.row(row).expect("it is kept"),
        });
        output.widen_if_table();
        output.text
    }

    impl Output {
        fn widen_if_table(&mut self) {
            if self.format == Format::Table {
                self.widen();
            }
        }
    }

    #[test]
    fn each_value_is_what_it_is() {
        let names = ["n", "i", "r", "t", "b"];
        let json = printed(Format::Json, &names, &[&ROW]) + "]";
        let read: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(
            read,
            serde_json::json!([{"n": null, "i": i64::MIN, "r": 1.0, "t": "a,\"b\"\n\u{1b}[31m", "b": "00ff"}])
        );
        assert!(!json.contains('\u{1b}'));
        assert_eq!(
            printed(Format::Csv, &names, &[&ROW]),
            "n,i,r,t,b\r\n,-9223372036854775808,1.0,\"a,\"\"b\"\"\n\u{1b}[31m\",00ff\r\n"
        );
        let table = printed(Format::Table, &names, &[&ROW]);
        assert_eq!(table.lines().count(), 3, "{table}");
        assert!(table.contains("NULL  -9223372036854775808  1.0  a,\"b\"\\n\\u{1b}[31m  x'00ff'"), "{table}");
    }

    #[test]
    fn an_empty_text_is_not_nothing() {
        let row = [ValueRef::Text(b""), ValueRef::Null];
        assert_eq!(printed(Format::Csv, &["a", "b"], &[&row]), "a,b\r\n\"\",\r\n");
        assert_eq!(real(f64::INFINITY), "9.0e+999");
        assert_eq!((real(0.1).as_str(), real(1e300).as_str()), ("0.1", "1e300"));
    }

    #[test]
    fn no_name_is_there_twice() {
        assert_eq!(unlike(&["a", "a", "b", "a"]), ["a", "a:1", "b", "a:2"]);
        assert_eq!(unlike(&["a", "a:1", "a"]), ["a", "a:1", "a:2"]);
    }

    #[test]
    fn a_table_keeps_no_more_than_its_sample() {
        let row = [ValueRef::Integer(7), ValueRef::Text(b"x")];
        let mut output = Output::new(Format::Table, &["number", "text"]);
        (0..SAMPLE_ROWS + 50).for_each(|_| output.table_row(&row));
        assert!(output.table.cells.is_empty());
        assert_eq!(output.text.lines().count(), SAMPLE_ROWS + 50 + 2);
        assert!(output.text.ends_with("     7  x\n"), "{:?}", &output.text[output.text.len() - 20..]);
    }

    #[test]
    fn a_long_blob_is_cut_in_a_table_alone() {
        let bytes = vec![1; 1000];
        let row = [ValueRef::Blob(&bytes)];
        assert!(printed(Format::Table, &["b"], &[&row]).contains("…' (1000 bytes)"));
        assert_eq!(printed(Format::Csv, &["b"], &[&row]).len(), 3 + 2000 + 2);
    }
}
