//! Which machine a program is for, by its first bytes (`elf(5)`): it is said before it is run, which would only fail.

use std::io::{self, Read as _};
use std::path::Path;

use super::pins::Platform;
use crate::os::open;

/// The beginnings of programs for macOS: Mach-O of 64 bits, and of several machines.
const MACH_O: [[u8; 4]; 2] = [[0xcf, 0xfa, 0xed, 0xfe], [0xca, 0xfe, 0xba, 0xbe]];

/// Whether a file that begins so is a program itself, and no script or archive.
pub(super) fn is_program(head: &[u8]) -> bool {
    head.starts_with(b"\x7fELF")
        || head.starts_with(b"MZ")
        || MACH_O.iter().any(|magic| head.starts_with(magic))
}

/// Says which other machine than this one a program is for; nothing of what it can be run to find out.
///
/// # Errors
/// It cannot be read.
pub(super) fn other(program: &Path) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    open::unlinked(program, false)?.take(20).read_to_end(&mut head)?;
    Ok(other_of(&head, Platform::HOST))
}

fn other_of(head: &[u8], host: Platform) -> Option<String> {
    if host.os != "linux" {
        return None;
    }
    if head.starts_with(b"MZ") {
        return Some("windows".to_owned());
    }
    if MACH_O.iter().any(|magic| head.starts_with(magic)) {
        return Some("macos".to_owned());
    }
    let [0x7f, b'E', b'L', b'F', _, order, ..] = *head else { return None };
    let number: [u8; 2] = head.get(18..20)?.try_into().ok()?;
    let number = if order == 2 { u16::from_be_bytes(number) } else { u16::from_le_bytes(number) };
    // EM_386, EM_ARM, EM_X86_64, EM_AARCH64, EM_RISCV.
    let arch = match number {
        3 => "x86",
        40 => "arm",
        62 => "x86_64",
        183 => "aarch64",
        243 => "riscv64",
        other => return Some(format!("linux on the processor with the number {other}")),
    };
    (arch != host.arch).then(|| format!("linux on {arch}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_says_which_machine_it_is_for() {
        let host = Platform { os: "linux", arch: "x86_64" };
        let elf = |machine: u8| [&b"\x7fELF\x02\x01\x01"[..], &[0; 11], &[machine, 0]].concat();
        assert_eq!(other_of(&elf(62), host), None);
        assert_eq!(other_of(&elf(183), host).as_deref(), Some("linux on aarch64"));
        assert_eq!(other_of(&elf(183), Platform { arch: "aarch64", ..host }), None);
        assert_eq!(other_of(&elf(8), host).as_deref(), Some("linux on the processor with the number 8"));
        assert_eq!(other_of(&MACH_O[0], host).as_deref(), Some("macos"));
        assert_eq!(other_of(b"MZ\x90\0", host).as_deref(), Some("windows"));
        for unknown in [&b"#!/bin/sh\n"[..], b"", b"\x7fELF", b"\x7fELF\x02\x01"] {
            assert_eq!(other_of(unknown, host), None, "{unknown:?}");
        }
    }
}
