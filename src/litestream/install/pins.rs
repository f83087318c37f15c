//! What we know of published binaries: their SHA-256, by version and platform.
//!
//! The sums are of the executable itself, not of an archive, so one sum serves both ways of getting it: the Python
//! package repackages the project's own release.

/// The operating system and processor that a binary is for, in Rust's names (`std::env::consts`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    /// `linux`, `macos`, …
    pub os: &'static str,
    /// `x86_64`, `aarch64`, …
    pub arch: &'static str,
}

impl Platform {
    /// The platform that this program was built for.
    pub const HOST: Self = Self { os: std::env::consts::OS, arch: std::env::consts::ARCH };
}

/// Returns the expected SHA-256 (lowercase hex) of the `litestream` executable, where it is known.
pub fn sha256(version: &str, platform: Platform) -> Option<&'static str> {
    PINS.iter()
        .find(|(pinned, os, arch, _)| *pinned == version && *os == platform.os && *arch == platform.arch)
        .map(|(.., sum)| *sum)
}

/// Returns the version of an executable with this sum, where it is known.
pub(super) fn version(sum: &str) -> Option<&'static str> {
    PINS.iter().find(|(.., pinned)| *pinned == sum).map(|(version, ..)| *version)
}

/// Returns the same of Litestream's extension of SQLite.
pub(super) fn extension(version: &str, platform: Platform) -> Option<&'static str> {
    let is_it = |(pinned, os, arch, _): &&(&str, &str, &str, &str)| {
        *pinned == version && *os == platform.os && *arch == platform.arch
    };
    EXTENSIONS.iter().find(is_it).map(|(.., sum)| *sum)
}

/// Says whether something with this sum is the extension of a known version.
pub(super) fn is_extension(sum: &str) -> bool {
    EXTENSIONS.iter().any(|(.., pinned)| *pinned == sum)
}

/// The same of the extension.
const EXTENSIONS: [(&str, &str, &str, &str); 2] = [
    ("0.5.17", "linux", "x86_64", "3aadda9ae150e0f5236c0d8141e9db298361996d45d1d72500f2dd791e8ccfb9"),
    ("0.5.17", "linux", "aarch64", "1402f0a8c8ad95b0f99d90008d43c76c9df83cabb02d2d3cf15fb5eb06be64a1"),
];

/// Version, operating system, processor, SHA-256.
const PINS: [(&str, &str, &str, &str); 5] = [
    ("0.5.17", "linux", "x86_64", "200e4248a4cc83da2ca52babe66774f1a71afa993d31373adb0ce0fe12154647"),
    ("0.5.17", "linux", "aarch64", "47baa971c744f3f0d3ca1f4fe82a7883fc8d4bf67ebe3d673c89ec71364920eb"),
    ("0.5.17", "macos", "x86_64", "72d0341185fd2ddcd5229efa9e8aa4d395b6812760b95d0e3660f88c682c313a"),
    ("0.5.17", "macos", "aarch64", "205b4c315d61a7f5709c4ab9001084eadfa8c9d36e1c198f9887417c2d88bb73"),
    ("0.3.13", "linux", "x86_64", "bbd8b9baa5bd9ae35318bececace384247b71fed4269a3e3cb8a8ac3f6c957bb"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_belongs_to_one_version_and_platform() {
        let linux = Platform { os: "linux", arch: "x86_64" };
        assert!(sha256("0.5.17", linux).is_some_and(|sum| sum.starts_with("200e4248")));
        assert!(sha256("0.3.13", linux).is_some_and(|sum| sum.starts_with("bbd8b9ba")));
        assert_eq!(sha256("0.5.16", linux), None);
        assert_eq!(sha256("0.3.13", Platform { os: "macos", arch: "x86_64" }), None);
    }

    #[test]
    fn every_pin_is_a_lowercase_sha256() {
        for (version, os, arch, sum) in PINS.into_iter().chain(EXTENSIONS) {
            assert_eq!(sum.len(), 64, "{version} {os} {arch}");
            assert!(
                sum.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
                "{version} {os} {arch}"
            );
        }
    }
}
