//! The SHA-256 of a file, and the command `__digest`, which prints it.

use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::open;

/// So much is read at once.
const PART: usize = 64 << 10;

/// The SHA-256 of what is in a file, in hex.
///
/// # Errors
/// It cannot be read.
pub fn file(path: &Path) -> io::Result<String> {
    let (mut file, mut part, mut sum) = (open::file(path)?, vec![0; PART], Sha256::new());
    loop {
        match file.read(&mut part) {
            Ok(0) => break,
            Ok(read) => sum.update(&part[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Prints that of a file; the exit code is for the process. One of a whole database takes a while, in which whoever waits for it hears of signals.
pub fn main(path: &Path) -> u8 {
    match file(path) {
        Ok(sum) => {
            println!("{sum}");
            0
        }
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of FIPS 180-4.
    #[test]
    fn it_is_the_sum_that_everybody_knows() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "abc").expect("ours");
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(file(&path).expect("ours"), known);
        std::fs::write(&path, vec![b'a'; 1_000_000]).expect("ours");
        let million = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
        assert_eq!(file(&path).expect("ours"), million);
        assert!(file(folder.path()).is_err());
    }
}
