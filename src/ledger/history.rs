//! Every content that a page of the copy ever had, as a checksum: what tells an older copy of a database
//! from one that somebody has written to.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::book::own_file;
use crate::litestream::database;
use crate::os::open;

/// When the file is longer, its older half goes: 8 million pages stay.
const LONGEST: u64 = 128 << 20;

fn path(meta: &Path) -> PathBuf {
    meta.join(database::HISTORY)
}

/// Two pages with the same content are two contents.
fn of_page(page: u32, sum: u64) -> u64 {
    sum ^ u64::from(page).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The file, to write behind its end.
pub(super) struct History(BufWriter<File>);

impl History {
    pub(super) fn open(meta: &Path) -> io::Result<Self> {
        let path = path(meta);
        let mut file = own_file(meta, &path)?;
        // Whoever writes here has the lock of the ledger.
        let length = file.metadata()?.len() / 8 * 8;
        if length > LONGEST {
            let mut newer = vec![0; (LONGEST / 2) as usize];
            file.read_exact_at(&mut newer, length - LONGEST / 2)?;
            file.write_all_at(&newer, 0)?;
            file.set_len(LONGEST / 2)?;
        }
        io::Seek::seek(&mut file, io::SeekFrom::Start(length.min(LONGEST)))?;
        Ok(Self(BufWriter::new(file)))
    }

    pub(super) fn add(&mut self, page: u32, sum: u64) -> io::Result<()> {
        self.0.write_all(&of_page(page, sum).to_le_bytes())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// How many of these pages, with these contents, the copy had at some time.
pub(super) fn known(meta: &Path, pages: &[(u32, u64)]) -> io::Result<u64> {
    let file = match open::unlinked(&path(meta), false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut wanted: HashSet<u64> = pages.iter().map(|(page, sum)| of_page(*page, *sum)).collect();
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut found = 0;
    let mut sum = [0; 8];
    while !wanted.is_empty() {
        match reader.read_exact(&mut sum) {
            Ok(()) => found += u64::from(wanted.remove(&u64::from_le_bytes(sum))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
