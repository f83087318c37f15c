//! SQL as it comes, one statement after the other: nothing waits for the end of what may have none.

use std::io::{self, BufRead, Read as _};

use crate::os::extension::is_complete;

/// The most bytes of one statement; SQLite itself takes a thousand times that.
const LONGEST: u64 = 1 << 20;

/// Statements from a reader.
pub(super) struct Statements<R> {
    from: R,
    /// What was read and is no whole statement yet.
    rest: String,
}

impl<R: BufRead> Statements<R> {
    /// Those of this reader.
    pub(super) fn of(from: R) -> Self {
        Self { from, rest: String::new() }
    }

    /// Whether a statement has begun and not ended.
    pub(super) fn has_begun(&self) -> bool {
        !self.rest.trim().is_empty()
    }

    /// Forgets what has begun.
    pub(super) fn forget(&mut self) {
        self.rest.clear();
    }

    /// The first whole statement of what was read, without reading more.
    pub(super) fn ready(&mut self) -> Option<String> {
        let mut ends = self.rest.match_indices(';').map(|(at, _)| at + 1);
        let end = ends.find(|end| is_complete(&self.rest[..*end]))?;
        let rest = self.rest.split_off(end);
        Some(std::mem::replace(&mut self.rest, rest))
    }

    /// What is left when there is no more to read.
    pub(super) fn last(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.rest);
        (!rest.trim().is_empty()).then_some(rest)
    }

    /// Reads one more line; whether there was one.
    ///
    /// # Errors
    /// It cannot be read, is no text, or makes the statement too long.
    pub(super) fn read_line(&mut self) -> io::Result<bool> {
        let left = LONGEST.saturating_sub(self.rest.len() as u64);
        let mut line = Vec::new();
        let count = self.from.by_ref().take(left + 1).read_until(b'\n', &mut line)?;
        if count as u64 > left {
            return Err(io::Error::other(format!("a statement has more than {LONGEST} bytes")));
        }
        self.rest.push_str(str::from_utf8(&line).map_err(|_| io::Error::other("it is not UTF-8"))?);
        Ok(count > 0)
    }

    /// Takes the line that was read, where it is by itself and a command of the shell's.
    pub(super) fn dot_command(&mut self) -> Option<String> {
        let is_one = self.rest.trim_start().starts_with('.');
        is_one.then(|| std::mem::take(&mut self.rest).trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut statements = Statements::of(text.as_bytes());
        let mut found = Vec::new();
        while statements.read_line().expect("text") {
            while let Some(one) = statements.ready() {
                found.push(one.trim().to_owned());
            }
        }
        found.extend(statements.last().map(|last| last.trim().to_owned()));
        found
    }

    #[test]
    fn statements_end_where_sqlite_says_so() {
        assert_eq!(all("SELECT 1; SELECT ';\n;' ;\nSELECT 2"), ["SELECT 1;", "SELECT ';\n;' ;", "SELECT 2"]);
        assert_eq!(all("SELECT 1 -- ;\n;\n\n"), ["SELECT 1 -- ;\n;"]);
        assert_eq!(all(" \n"), [""; 0]);
    }

    #[test]
    fn one_that_has_no_end_is_refused() {
        let text = "x".repeat(2 << 20);
        assert!(Statements::of(text.as_bytes()).read_line().is_err());
        assert!(Statements::of(&b"\xff\n"[..]).read_line().is_err());
    }
}
