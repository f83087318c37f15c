//! Files that other programs read.

use std::path::Path;

use crate::os::open;

/// The text of a settings file. What is none, or longer than any is, is not read.
pub(super) fn text(path: &Path) -> Option<String> {
    const LONGEST: usize = 1 << 20;
    String::from_utf8(open::whole(path, LONGEST).ok()?).ok()
}
