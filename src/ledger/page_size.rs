//! The size of a database's pages, as its header says it.

use std::fs::File;
use std::io;

use crate::os::fd;
use crate::sqlite::wal;

/// Where it stands in a database's header.
pub(super) const AT: usize = 16;

/// What stands there; 65536 is stored as 1 (<https://sqlite.org/fileformat2.html>).
pub(super) fn stored(bytes: [u8; 2]) -> u32 {
    match u16::from_be_bytes(bytes) {
        1 => 65536,
        size => u32::from(size),
    }
}

/// The size of a database's pages.
pub(super) fn page_size(file: &File) -> io::Result<Option<u32>> {
    let size = fd::read_at(file, AT as u64)?.map(stored);
    Ok(size.filter(|size| wal::is_page_size(*size)))
}
