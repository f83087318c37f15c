//! The SHA-256 of a file.

use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::os::open;

/// Returns it in lowercase hex.
///
/// # Errors
/// It cannot be read.
pub(super) fn sum_of(path: &Path) -> io::Result<String> {
    let (mut hasher, mut file, mut buffer) = (Sha256::new(), open::file(path)?, vec![0; 64 << 10]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => hasher.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
