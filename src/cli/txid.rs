//! `--restore-txid`: which transaction, and of which database.

use std::path::{Path, PathBuf};

use crate::litestream::argv;

/// One transaction, with a database or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreTxid {
    pub(super) db: Option<PathBuf>,
    pub(super) txid: u64,
}

/// Reads `[PATH=]TXID`; a transaction is sixteen hex digits, as Litestream prints and reads them.
///
/// # Errors
/// A fragment that says what is wrong.
pub fn parse(text: &str) -> Result<RestoreTxid, String> {
    let (db, txid) = match text.rsplit_once('=') {
        Some((db, txid)) => (Some(PathBuf::from(db)), txid),
        None => (None, text),
    };
    let is_one = txid.len() == 16 && txid.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u64::from_str_radix(txid, 16) {
        Ok(number) if is_one && number > 0 && db.as_deref() != Some(Path::new("")) => {
            Ok(RestoreTxid { db, txid: number })
        }
        Ok(_) | Err(_) => Err(format!(
            "not a txid: write it as litestream does, {}, behind the path of its database where there are several",
            argv::txid_text(0x12)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_txid_is_written_as_litestream_does() {
        let one = |db: Option<&str>, txid| Ok(RestoreTxid { db: db.map(PathBuf::from), txid });
        assert_eq!(parse("0000000000000012"), one(None, 0x12));
        assert_eq!(parse("00000000000000aF"), one(None, 0xaf));
        assert_eq!(parse("data/a=b.db=0000000000000012"), one(Some("data/a=b.db"), 0x12));
        for rubbish in [
            "",
            "12",
            "0000000000000000",
            "00000000000000000012",
            "+000000000000012",
            "x",
            "=0000000000000012",
        ] {
            assert!(parse(rubbish).unwrap_err().contains("0000000000000012"), "{rubbish}");
        }
    }
}
