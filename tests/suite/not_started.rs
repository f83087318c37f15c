//! What cannot be started is named by its whole path, with what is really wrong and the kernel's own words.

use std::path::PathBuf;

use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST};
use crate::support::sqlite;
use crate::support::unit;
use crate::support::world::World;

/// The header of an ELF file, which a kernel takes for one of this machine (`elf(5)`).
fn elf(machine: u8, loader: &str) -> String {
    let mut bytes = vec![0; 120];
    bytes[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    (bytes[16], bytes[18], bytes[20], bytes[52]) = (2, machine, 1, 64);
    (bytes[32], bytes[54], bytes[56]) = (64, 56, 1);
    (bytes[64], bytes[72], bytes[96]) = (3, 120, loader.len() as u8 + 1);
    bytes.extend(loader.bytes());
    bytes.push(0);
    String::from_utf8(bytes).expect("small numbers")
}

const OWN: u8 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
const NOT_FOUND: &str = "No such file or directory (os error 2)";

/// A program of each kind that cannot be started, and what is to be said of it.
fn broken(world: &World) -> Vec<(PathBuf, String)> {
    let mut all = vec![
        (
            world.program("interp", "#!/no/such/python -u\n"),
            format!("its interpreter /no/such/python is not there: {NOT_FOUND}"),
        ),
        (world.program("crlf", "#!/bin/sh\r\necho ran\r\n"), "so its interpreter is `/bin/sh\\r`".to_owned()),
        (
            world.program("arm", &elf(40, "")),
            format!("built for arm, and this machine is {}", std::env::consts::ARCH),
        ),
        (world.program("mac", "\u{7f}ELF"), "built for another machine".to_owned()),
        (
            world.program("noprog", "#!/etc/passwd\n"),
            "its interpreter /etc/passwd is no executable file: Permission denied (os error 13)".to_owned(),
        ),
        (
            world.write("plain", "echo ran"),
            "`chmod +x` makes it one): Permission denied (os error 13)".to_owned(),
        ),
        (world.root().to_owned(), "a folder, and no program: Permission denied (os error 13)".to_owned()),
    ];
    if OWN == 62 {
        let said = format!(
            "its loader /lib/ld-other.so.1 is not there: it was built for another C library (glibc, musl): {NOT_FOUND}"
        );
        all.push((world.program("musl", &elf(OWN, "/lib/ld-other.so.1")), said));
    }
    let link = world.path("link");
    std::os::unix::fs::symlink("gone", &link).expect("the world can be written");
    all.push((link, format!("a link to gone, which is not there: {NOT_FOUND}")));
    all
}

fn shell(world: &World) -> Keeper {
    Keeper::new(world)
        .config(&world.write("litestream.yml", "litekeeper: {resolver: {command: [echo, '[]']}}\ndbs: []\n"))
        .args(["--restart", "never"])
}

#[test]
fn an_app_that_cannot_be_started_is_named_with_the_reason() {
    let world = World::new();
    for (program, said) in broken(&world) {
        let ended = shell(&world).app([&program]).run().expect_code(126);
        ended.expect_log(&format!("cannot be executed: {}: ", program.display())).expect_log(&said);
        let ended = shell(&world).env("LITEKEEPER_ENABLED", "false").app([&program]).run().expect_code(126);
        ended.expect_log(&format!("error: {}: ", program.display())).expect_log(&said);
    }
}

#[test]
fn a_command_that_is_not_there_is_named_with_where_it_was_looked_for() {
    let world = World::new();
    let run =
        |app: &str| shell(&world).env("PATH", "/usr/bin:/bin:/x").app([app, "arg"]).run().expect_code(127);
    let said = format!("no-such-command: in no folder of PATH (/usr/bin:/bin:/x): {NOT_FOUND}");
    run("no-such-command").expect_log("(no-such-command): command not found: ").expect_log(&said);
    run("/no/such/app").expect_log(&format!("(app): command not found: /no/such/app: {NOT_FOUND}"));
    run("bin/app").expect_log(&format!("command not found: {}/bin/app: {NOT_FOUND}", world.root().display()));
}

#[test]
fn a_line_in_one_word_is_told_to_be_one() {
    let world = World::new();
    for line in ["echo a b", "bin/server --port 80"] {
        let ended = shell(&world).app([line]).run().expect_code(127);
        ended.expect_log(&format!("{line}: this is one word, and no program is called so"));
    }
}

#[test]
fn a_command_before_is_named_like_the_app() {
    let world = World::new();
    for (program, said) in broken(&world) {
        let before = shlex::try_quote(program.to_str().expect("UTF-8")).expect("no NUL").into_owned();
        let keeper = shell(&world).args(["--before", &before]).app(["true"]);
        let ended = keeper.run().expect_code(126).expect_log(&said);
        ended.expect_log(&format!("cannot be executed: {}: ", program.display()));
    }
}

/// Also text that no program is, whose first line is none of an interpreter, is still for a shell.
#[test]
fn a_script_without_a_first_line_is_for_a_shell() {
    let world = World::new();
    let script = world.program("script", "echo \"ran $1\"\nexit 9\n");
    let ended = shell(&world).app([script.as_os_str(), "it".as_ref()]).run().expect_code(9);
    assert_eq!(ended.stdout, "ran it\n");
}

#[test]
fn a_litestream_that_cannot_be_started_is_named_with_the_reason() {
    let world = World::new();
    for (program, said) in broken(&world).into_iter().filter(|(program, _)| program.is_file()) {
        let keeper = unit::keeper(&world).env("LITESTREAM_BINARY_PATH", &program).app(["true"]);
        let ended = keeper.run().expect_code(78);
        if !said.contains("chmod") {
            let ended = ended.expect_log(&said);
            ended.expect_log(&program.display().to_string());
        }
    }
}

#[test]
fn a_litestream_that_crashes_is_shown_with_its_end_and_its_words() {
    let world = World::new();
    let real = litestream::binary(LATEST);
    let limited = format!("#!/bin/sh\nulimit -v 40000\nexec {} \"$@\"\n", real.display());
    let dies = "#!/bin/sh\necho 'fatal error: too few things' >&2\necho more >&2\nkill -ABRT $$\n";
    for (name, text, ended, said) in [
        ("limited", limited.as_str(), "ended with code 2 and says: ", "memory"),
        ("dies", dies, "was ended by SIGABRT and says: ", "fatal error: too few things | more"),
        ("silent", "#!/bin/sh\nexit 7\n", "ended with code 7 and said nothing", ""),
    ] {
        let program = world.program(name, text);
        let told = format!("`{} version` {ended}", program.display());
        let run = unit::keeper(&world).env("LITESTREAM_BINARY_PATH", &program).app(["true"]).run();
        run.expect_code(78).expect_log(&told).expect_log(said).expect_log("ulimit -a");
        let check = Keeper::new(&world).command("check").db(&world.db()).replica(&world.replica_url());
        let check = check.env("LITESTREAM_BINARY_PATH", &program).run();
        check.expect_output(&told).expect_output(said);
    }
}

#[test]
fn a_resolver_that_cannot_be_started_is_named_with_the_reason() {
    let world = World::new();
    let program = world.program("resolver", "#!/no/such/python\n");
    let text = format!("dbs: []\nlitekeeper:\n  resolver:\n    command: [{}]\n", program.display());
    let config = world.write("litestream.yml", &text);
    let ended = Keeper::new(&world).config(&config).app(["true"]).run().expect_code(69);
    ended
        .expect_log(&program.display().to_string())
        .expect_log(&format!("its interpreter /no/such/python is not there: {NOT_FOUND}"));
}

#[test]
fn a_folder_of_the_app_that_is_none_is_named_for_what_it_is() {
    let world = World::new();
    let file = world.write("file", "");
    for (folder, said) in [
        (file.clone(), "is a file, and no folder"),
        (file.join("below"), "cannot be entered: Not a directory (os error 20)"),
        (world.path("none"), "is not there: No such file or directory (os error 2)"),
    ] {
        for switch in ["true", "false"] {
            let keeper = unit::keeper(&world).arg("--cwd").arg(&folder).env("LITEKEEPER_ENABLED", switch);
            let ended = keeper.app(["true"]).run().expect_code(78);
            ended.expect_log(&format!("the app's folder `{}` {said}", folder.display()));
        }
    }
}

/// What can be known is said before anything is restored, or waited for.
#[test]
fn what_cannot_be_started_keeps_a_restore_from_being_begun() {
    let world = World::new();
    sqlite::create(&world.db(), 3);
    unit::keeper(&world).app(["true"]).run().expect_code(0);
    let lose = || {
        for name in ["app.db", "app.db-wal", "app.db-shm", ".app.db-litekeeper.lock"] {
            let _ = std::fs::remove_file(world.path(name));
        }
        let _ = std::fs::remove_dir_all(world.path(".app.db-litestream"));
    };
    let refused = |keeper: Keeper, code: i32, said: &str| {
        lose();
        let ended = keeper.run().expect_code(code).expect_log(said).expect_log("hint: ");
        assert!(!ended.log.contains("info") && !world.db().exists(), "{}", ended.log);
        assert!(!world.path(".app.db-litekeeper.lock").exists(), "nothing was made");
    };
    for (program, _) in broken(&world).into_iter().filter(|(program, _)| {
        // What it was built for shows when it is tried.
        !["arm", "mac", "noprog"].map(|name| world.path(name)).contains(program)
    }) {
        let said = format!("cannot be executed: {}: ", program.display());
        refused(unit::keeper(&world).app([&program]), 126, &said);
    }
    refused(
        unit::keeper(&world).app(["no-such-command", "x"]),
        127,
        "(no-such-command): command not found: ",
    );
    refused(unit::keeper(&world).app(["/no/such/app"]), 127, "(app): command not found: /no/such/app: ");
    let before = unit::keeper(&world).args(["--before", "no-such-migration up"]);
    refused(before.app(["true"]), 127, "--before no-such-migration: command not found: ");
    let resolver = "litekeeper: {resolver: {command: [./none]}}";
    let config = world.config_of(resolver, [(world.db().as_path(), &world.replica())]);
    let named = || Keeper::new(&world).config(&config);
    refused(named().app(["true"]), 69, "resolver `none`: cannot be started: ");
    if nix::unistd::geteuid().is_root() {
        let own = world.program("own", "#!/bin/sh\n");
        let mode = std::os::unix::fs::PermissionsExt::from_mode;
        std::fs::set_permissions(&own, mode(0o700)).expect("ours");
        std::fs::set_permissions(world.root(), mode(0o755)).expect("ours");
        let theirs = ["data", "theirs"].map(|name| world.path(name));
        for folder in &theirs {
            std::fs::create_dir(folder).expect("ours");
            std::os::unix::fs::chown(folder, Some(1234), Some(1234)).expect("root may");
        }
        let keeper = Keeper::new(&world).db(&theirs[0].join("a.db"));
        let keeper = keeper.replica(&format!("file://{}", theirs[1].display())).args(["--user", "1234:1234"]);
        refused(keeper.app([&own]), 126, "(own): cannot be executed: ");
    }
    // A one-shot command may make what comes after it.
    lose();
    let made = world.path("made");
    let before = format!("cp /bin/true {}", made.display());
    unit::keeper(&world).args(["--before", &before]).app([&made]).run().expect_code(0);
    assert!(world.db().exists());
}
