//! The files of a project's folder, and the notes about them.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::Path;

use super::tree::{MAX_FILE, MAX_YAML, ReadError};
use super::{Tree, path};

/// The most notes that are kept.
const MAX_NOTES: usize = 200;

/// The folder that a framework's marker is in.
pub(super) struct Folder<'a> {
    pub tree: &'a dyn Tree,
    /// The tree's own absolute path; what lies below it is written relative to it.
    pub root: &'a str,
    /// The folder's path in the tree, `.` for the tree itself.
    pub folder: String,
    notes: RefCell<Vec<String>>,
}

impl<'a> Folder<'a> {
    pub fn new(tree: &'a dyn Tree, root: &'a str, folder: &str) -> Self {
        Self { tree, root, folder: folder.to_owned(), notes: RefCell::default() }
    }

    /// Names a file of the folder in the tree.
    pub fn in_tree(&self, file: &str) -> String {
        path::join(&self.folder, file)
    }

    pub fn has(&self, file: &str) -> bool {
        self.tree.is_file(Path::new(&self.in_tree(file)))
    }

    /// Reads a file's text; a file that cannot be read is noted.
    pub fn text(&self, file: &str) -> Option<String> {
        let shown = self.in_tree(file);
        match self.tree.read(Path::new(&shown), MAX_FILE) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                if matches!(text, Cow::Owned(_)) {
                    self.note(format!("{shown} is not UTF-8; what is not was passed over"));
                }
                Some(path::without_marks(text.trim_start_matches('\u{FEFF}')))
            }
            Err(ReadError::Missing) => None,
            Err(ReadError::TooLarge) => {
                self.note(format!("{shown} was not read: it is larger than {} KiB", MAX_FILE >> 10));
                None
            }
            Err(ReadError::Other(reason)) => {
                self.note(format!("{shown} cannot be read: {reason}"));
                None
            }
        }
    }

    /// Reads the text of a file that is only searched for a word, and may be a program or a picture. No note is made where
    /// it cannot be read.
    pub fn glimpse(&self, file: &str) -> Option<String> {
        let bytes = self.tree.read(Path::new(&self.in_tree(file)), MAX_FILE).ok()?;
        // A text has no NUL, and a program holds the words of others.
        let is_text = !bytes.contains(&0);
        is_text.then(|| path::without_marks(String::from_utf8_lossy(&bytes).trim_start_matches('\u{FEFF}')))
    }

    /// Tells whether one of these files has this word in it.
    pub fn mentions(&self, files: &[&str], word: &str) -> bool {
        files.iter().any(|file| self.glimpse(file).is_some_and(|text| text.contains(word)))
    }

    /// Reads a text as YAML; invalid YAML is noted.
    pub fn yaml(&self, file: &str, text: &str) -> Option<serde_yaml::Value> {
        let reason = if text.len() > MAX_YAML {
            format!("was not read: it is larger than {} KiB", MAX_YAML >> 10)
        } else {
            match serde_yaml::from_str(text) {
                Ok(yaml) => return Some(yaml),
                Err(error) => format!("is no YAML: {error}"),
            }
        };
        self.note(format!("{} {reason}", self.in_tree(file)));
        None
    }

    /// Reads the first of these files that exists: its name and its text.
    pub fn first_text(&self, files: &[&str]) -> Option<(String, String)> {
        files.iter().find_map(|file| Some(((*file).to_owned(), self.text(file)?)))
    }

    /// Adds a note, once.
    pub fn note(&self, text: impl Into<String>) {
        let text = text.into();
        let mut notes = self.notes.borrow_mut();
        match notes.len() {
            MAX_NOTES => notes.push("and more of the kind".to_owned()),
            length if length < MAX_NOTES && !notes.contains(&text) => notes.push(text),
            _ => {}
        }
    }

    /// Removes the notes that no longer hold.
    pub fn forget(&self, what: impl Fn(&str) -> bool) {
        self.notes.borrow_mut().retain(|note| !what(note));
    }

    pub fn notes(&self) -> Vec<String> {
        self.notes.borrow().clone()
    }

    /// Writes a path of the folder as the tree has it: relative below the tree's root, else absolute.
    pub fn relative(&self, path: &str) -> String {
        let path = match self.in_tree(path) {
            // Above the tree's root a path is the root's own.
            path if path.starts_with("../") => match path::join(self.root, &path) {
                whole if whole.starts_with(&format!("{}/", self.root)) => whole,
                _ => path,
            },
            path => path,
        };
        match path.strip_prefix(self.root) {
            Some(rest) if rest.starts_with('/') && rest.len() > 1 => rest[1..].to_owned(),
            _ => path,
        }
    }
}
