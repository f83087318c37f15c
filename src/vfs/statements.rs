//! SQL as it comes, one statement after the other: nothing waits for the end of what may have none.

use std::io::{self, BufRead, Read as _};

use crate::os::extension::is_complete;

/// The most bytes of one statement; SQLite itself takes a thousand times that.
const LONGEST: u64 = 1 << 20;

/// Statements from a reader.
pub(super) struct Statements<R> {
    from: R,
    /// What was read.
    rest: String,
    /// Where in it what was not taken yet begins.
    begin: usize,
    /// Up to where no further statement ends.
    searched: usize,
}

impl<R: BufRead> Statements<R> {
    /// Those of this reader.
    pub(super) fn of(from: R) -> Self {
        Self { from, rest: String::new(), begin: 0, searched: 0 }
    }

    /// Whether a statement has begun and not ended.
    pub(super) fn has_begun(&self) -> bool {
        !self.rest[self.begin..].trim().is_empty()
    }

    /// Forgets what has begun.
    pub(super) fn forget(&mut self) {
        let _ = self.take();
    }

    /// The first whole statement of what was read, without reading more.
    pub(super) fn ready(&mut self) -> Option<String> {
        let mut ends = self.rest[self.searched..].match_indices(';').map(|(at, _)| self.searched + at + 1);
        if let Some(end) = ends.find(|end| is_complete(&self.rest[self.begin..*end])) {
            let statement = self.rest[self.begin..end].to_owned();
            (self.begin, self.searched) = (end, end);
            return Some(statement);
        }
        self.rest.drain(..self.begin);
        (self.begin, self.searched) = (0, self.rest.len());
        None
    }

    /// All that was not taken yet.
    fn take(&mut self) -> String {
        let rest = std::mem::take(&mut self.rest).split_off(self.begin);
        (self.begin, self.searched) = (0, 0);
        rest
    }

    /// What is left when there is no more to read.
    pub(super) fn last(&mut self) -> Option<String> {
        let rest = self.take();
        (!rest.trim().is_empty()).then_some(rest)
    }

    /// Reads one more line; whether there was one.
    ///
    /// # Errors
    /// It cannot be read, is no text, or makes the statement too long.
    pub(super) fn read_line(&mut self) -> io::Result<bool> {
        let left = LONGEST.saturating_sub((self.rest.len() - self.begin) as u64);
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
        let is_one = self.rest[self.begin..].trim_start().starts_with('.');
        is_one.then(|| self.take().trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_not_there_any_more() {
        let mut statements = Statements::of("a;b;c\n;.tables\n".as_bytes());
        statements.read_line().expect("text");
        assert_eq!(statements.ready().as_deref(), Some("a;"));
        assert!(statements.has_begun());
        assert_eq!(statements.ready().as_deref(), Some("b;"));
        assert_eq!(statements.ready(), None);
        statements.read_line().expect("text");
        assert_eq!(statements.ready().as_deref(), Some("c\n;"));
        assert_eq!(statements.dot_command().as_deref(), Some(".tables"));
        assert_eq!((statements.has_begun(), statements.last()), (false, None));
    }

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
