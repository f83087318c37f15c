//! What kind of file a program is: its first bytes, its `#!` line, and the header of `elf(5)`.

use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::open;

/// How much of a program is looked at: its kind, its first line, and where an ELF file names its loader.
const HEAD: u64 = 4096;
/// No path is longer (`PATH_MAX`).
const LONGEST_PATH: u64 = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Elf,
    MacOs,
    Windows,
    Archive,
    Other,
}

/// Whether a shell may read a file that the kernel does not take for a program: text, as POSIX shells decide it, that
/// names no interpreter of its own. System calls and nothing else: it runs between a fork and an exec.
pub(super) fn is_for_a_shell(program: &CStr) -> bool {
    let mut bytes = [0; 256];
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let read = |fd: OwnedFd| nix::unistd::read(fd, &mut bytes);
    match nix::fcntl::open(program, flags, Mode::empty()).and_then(read) {
        Ok(length) => {
            let head = &bytes[..length];
            is_text(head) && interpreter(head).is_none()
        }
        // What cannot be read is for the shell to refuse.
        Err(_) => true,
    }
}

/// No NUL in its first line, and no mark of a program.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    !first.contains(&0) && kind(bytes) == Kind::Other
}

/// What a `#!` line names.
pub(super) fn interpreter(bytes: &[u8]) -> Option<&OsStr> {
    let line = bytes.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    line.split(blank).find(|word| !word.is_empty()).map(OsStr::from_bytes)
}

pub(super) fn kind(bytes: &[u8]) -> Kind {
    match bytes {
        [0x7f, b'E', b'L', b'F', ..] => Kind::Elf,
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => Kind::MacOs,
        [b'M', b'Z', 0 | 0x90, ..] => Kind::Windows,
        [0x1f, 0x8b, ..] | [b'P', b'K', 3, 4, ..] => Kind::Archive,
        _ => Kind::Other,
    }
}

/// The beginning of a program.
pub(super) struct Head {
    file: File,
    pub(super) bytes: Vec<u8>,
}

impl Head {
    pub(super) fn of(program: &Path) -> Option<Self> {
        let file = open::file(program).ok()?;
        let mut bytes = Vec::new();
        (&file).take(HEAD).read_to_end(&mut bytes).ok()?;
        Some(Self { file, bytes })
    }

    /// `e_machine` of `elf(5)`, as Rust names it.
    pub(super) fn machine(&self) -> Option<&'static str> {
        Some(match (self.number(18, 2)?, *self.bytes.get(4)?) {
            (3, _) => "x86",
            (20, _) => "powerpc",
            (21, _) => "powerpc64",
            (22, _) => "s390x",
            (40, _) => "arm",
            (62, _) => "x86_64",
            (183, _) => "aarch64",
            (243, 1) => "riscv32",
            (243, _) => "riscv64",
            (258, _) => "loongarch64",
            _ => return None,
        })
    }

    /// The program that an ELF file is to be loaded by (`PT_INTERP` of `elf(5)`).
    pub(super) fn loader(&self) -> Option<OsString> {
        if kind(&self.bytes) != Kind::Elf {
            return None;
        }
        // Of the two classes the header and its table have their fields elsewhere, and wider.
        let is_64 = self.bytes.get(4) == Some(&2);
        let (table, size, count) = if is_64 { (32, 54, 56) } else { (28, 42, 44) };
        let word = if is_64 { 8 } else { 4 };
        let (table, size, count) = (self.number(table, word)?, self.number(size, 2)?, self.number(count, 2)?);
        for place in 0..count {
            let at = usize::try_from(table.checked_add(place * size)?).ok()?;
            if self.number(at, 4)? == 3 {
                let (from, length) = if is_64 { (8, 32) } else { (4, 16) };
                let (from, length) = (self.number(at + from, word)?, self.number(at + length, word)?);
                return self.text(from, length);
            }
        }
        None
    }

    fn text(&self, from: u64, length: u64) -> Option<OsString> {
        let mut bytes = vec![0; usize::try_from(length.min(LONGEST_PATH)).ok()?];
        if !super::fd::read_all_at(&self.file, &mut bytes, from).ok()? {
            return None;
        }
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Some(OsStr::from_bytes(&bytes[..end]).to_owned())
    }

    /// A number of the header, in the file's own order of bytes.
    fn number(&self, at: usize, width: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(width)?)?;
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        let is_little = self.bytes.get(5) != Some(&2);
        Some(if is_little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) })
    }
}
