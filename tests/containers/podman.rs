//! Podman, with a store of its own, and the image that everything runs on.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;

use crate::support::app::App;
use crate::support::litestream::{self, LATEST};
use crate::support::world::World;

/// The base image.
pub const BASE: &str = "localhost/litekeeper-base:2";
/// The Debian that it is made of.
const DEBIAN: &str = "bookworm";
/// Where that comes from.
const MIRROR: &str = "http://deb.debian.org/debian";

/// The command with its store. When it goes, so do containers and images that were not there before.
pub struct Podman {
    store: PathBuf,
    config: PathBuf,
    /// The programs, for containers to be mounted.
    pub bin: PathBuf,
}

impl Podman {
    /// Looks whether it can run here, and makes the base image where there is none; the error is why not.
    pub fn open() -> Result<Self, String> {
        if !geteuid().is_root() {
            return Err("this is not root".to_owned());
        }
        for program in ["podman", "runc", "debootstrap"] {
            which::which(program).map_err(|_| format!("there is no {program}"))?;
        }
        let store = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("containers");
        let bin = store.join("bin");
        fs::create_dir_all(&bin).map_err(|error| format!("{}: {error}", bin.display()))?;
        let config = store.join("containers.conf");
        // Without CAP_SYS_RESOURCE nobody raises a limit, which Podman does by itself.
        let (_, files) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| error.to_string())?;
        let files = files.min(20_000);
        // crun refuses hybrid cgroups.
        let text = format!(
            "[containers]\ndefault_ulimits = [\"nofile={files}:{files}\", \"nproc=4096:4096\"]\n\
             [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n"
        );
        fs::write(&config, text).map_err(|error| format!("{}: {error}", config.display()))?;
        let podman = Self { store, config, bin };
        podman.programs();
        if !podman.command(["image", "exists", BASE]).status().is_ok_and(|status| status.success()) {
            podman.import()?;
        }
        let tried = podman.output(["run", "--rm", "--network", "none", BASE, "true"]);
        if tried.status.success() {
            Ok(podman)
        } else {
            Err(format!("podman cannot run: {}", text_of(&tried).trim().replace('\n', "; ")))
        }
    }

    /// `podman` with words behind it, without standard descriptors.
    pub fn command(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new("podman");
        command.args(self.global()).args(words);
        command.env("CONTAINERS_CONF", &self.config).stdin(Stdio::null());
        command
    }

    /// What comes before the words.
    pub fn global(&self) -> [String; 4] {
        let below = |name: &str| self.store.join(name).display().to_string();
        ["--root".to_owned(), below("storage"), "--runroot".to_owned(), below("run")]
    }

    /// The configuration of Podman, for a variable.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn output(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
        self.command(words).output().expect("podman can be started")
    }

    /// Runs it to its end, which is good; returns what it said.
    #[track_caller]
    pub fn ok(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let output = self.output(words);
        assert!(output.status.success(), "podman: {}: {}", output.status, text_of(&output));
        text_of(&output)
    }

    /// The programs as files that are nobody's to write, each made anew beside and moved there: one may be running.
    fn programs(&self) {
        let world = World::new();
        let probe = App::new(&world.trace()).into_iter().next().expect("its program");
        for (name, from) in [
            ("litekeeper", env!("CARGO_BIN_EXE_litekeeper").into()),
            ("probe", PathBuf::from(probe)),
            ("litestream", litestream::binary(LATEST)),
        ] {
            let (to, beside) = (self.bin.join(name), self.bin.join(format!(".{name}")));
            let copied = fs::copy(&from, &beside)
                .and_then(|_| fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)))
                .and_then(|()| fs::rename(&beside, to));
            copied.unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        }
    }

    fn import(&self) -> Result<(), String> {
        let (root, tar) = (self.store.join("base"), self.store.join("base.tar"));
        let _ = fs::remove_dir_all(&root);
        let said = |program: &str, command: &mut Command| match command.output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => {
                let text = text_of(&output);
                Err(format!("{program} failed: {}", text.lines().last().unwrap_or_default()))
            }
            Err(error) => Err(format!("{program}: {error}")),
        };
        let mut debootstrap = Command::new("debootstrap");
        debootstrap
            .args(["--variant=minbase", "--include=ca-certificates,systemd,systemd-sysv,procps", DEBIAN])
            .arg(&root)
            .arg(MIRROR);
        said("debootstrap", &mut debootstrap)?;
        let mut pack = Command::new("tar");
        pack.args(["--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./var/cache/apt/archives/*.deb"]);
        said("tar", pack.arg("-C").arg(&root).arg("-cf").arg(&tar).arg("."))?;
        let _ = fs::remove_dir_all(&root);
        let path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let imported = self.output(["import", "--change", path, &tar.display().to_string(), BASE]);
        let _ = fs::remove_file(&tar);
        if imported.status.success() { Ok(()) } else { Err(text_of(&imported)) }
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.output(["pod", "rm", "--all", "--force"]);
        let _ = self.output(["rm", "--all", "--force", "--volumes"]);
        let images =
            self.output(["images", "--quiet", "--all", "--no-trunc", "--filter", &format!("since={BASE}")]);
        for image in String::from_utf8_lossy(&images.stdout).lines() {
            let _ = self.output(["rmi", "--force", image]);
        }
    }
}

/// What a command said, on both.
pub fn text_of(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}
