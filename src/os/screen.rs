//! Bars on a terminal, which may be held by a Ctrl-S.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressDrawTarget, TermLike};

use super::terminal;

/// Bars, if standard error is a terminal that can be written to without waiting.
pub fn bars() -> Option<MultiProgress> {
    let terminal = io::stderr().is_terminal().then(terminal::standard_error).flatten()?;
    let screen = Screen { terminal, frame: Mutex::default() };
    Some(MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(screen))))
}

/// A terminal that takes a whole picture, or misses it.
#[derive(Debug)]
struct Screen {
    /// Writing to it does not wait.
    terminal: File,
    frame: Mutex<String>,
}

impl Screen {
    fn add(&self, text: &str) -> io::Result<()> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        Ok(())
    }

    fn go(&self, cells: usize, way: char) -> io::Result<()> {
        if cells == 0 { Ok(()) } else { self.add(&format!("\x1b[{cells}{way}")) }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        terminal::width(&self.terminal).unwrap_or(80)
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.go(lines, 'A')
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.go(lines, 'B')
    }

    fn move_cursor_right(&self, cells: usize) -> io::Result<()> {
        self.go(cells, 'C')
    }

    fn move_cursor_left(&self, cells: usize) -> io::Result<()> {
        self.go(cells, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.add(text)?;
        self.add("\r\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let frame = std::mem::take(&mut *self.frame.lock().unwrap_or_else(PoisonError::into_inner));
        // Who has stopped the terminal does not look at it.
        let _ = (&self.terminal).write(frame.as_bytes());
        Ok(())
    }
}
