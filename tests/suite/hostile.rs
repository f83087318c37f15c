//! What is no configuration, and was perhaps made to do harm: a clear word, soon, in little memory.

use std::fmt::Write;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::{Uid, User, geteuid, mkfifo};

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::process::Ended;
use crate::support::unit;
use crate::support::world::World;
use crate::support::wrap;

/// Enough for the program itself and for a small multiple of the largest file that is read.
const ADDRESS_SPACE_KIB: u32 = 192 << 10;
/// Long enough for an unoptimized build on a busy machine; what goes wrong here takes minutes.
const SOON: Duration = Duration::from_secs(60);
/// The largest file that is read.
const MAX: usize = 1 << 20;

/// `litekeeper COMMAND --config PATH`, and its end.
#[track_caller]
fn read(world: &World, command: &str, path: &Path) -> Ended {
    let keeper =
        Keeper::new(world).command(command).config(path).wrapped(wrap::address_space(ADDRESS_SPACE_KIB));
    let keeper = if command == "run" { keeper.app(["true"]) } else { keeper };
    keeper.env("LONG", "x".repeat(100_000)).start().finish_within(SOON)
}

/// What it says, on any machine the same.
fn said(world: &World, ended: &Ended) -> String {
    let text =
        format!("{}{}", ended.stdout, ended.log).replace(&world.root().display().to_string(), "/world");
    // Without the time.
    let lines = text.lines().map(|line| line.split_once("error: ").map_or(line, |(_, rest)| rest));
    lines.collect::<Vec<_>>().join("\n")
}

/// A text of as many repetitions as a configuration may have bytes.
fn full_of(part: &str) -> String {
    part.repeat(MAX / part.len())
}

/// Ten times ten times ten …
fn laughs() -> String {
    let mut text = format!("a0: &a0 [{}]\n", ["lol"; 10].join(", "));
    for level in 1..10 {
        let below = format!("*a{}", level - 1);
        let _ = writeln!(text, "a{level}: &a{level} [{}]", [below.as_str(); 10].join(", "));
    }
    text + "dbs: []\n"
}

/// Each as large as a file that is read may be, where size is what is tried.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let merges = (1..2000).fold("a0: &a0 {k0: v}\n".to_owned(), |text, n| {
        format!("{text}a{n}: &a{n} {{<<: [*a{}, *a{}], k{n}: v}}\n", n - 1, n / 2)
    });
    let anchors = full_of("- &a [x]\n- &b [*a, *a]\n");
    let nested = format!("{}x{}", full_of("&a [").split_at(400_000).0, "]");
    let blocks: String = (0..1400).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let tabs = format!("dbs: [\n{}]\n", full_of("\tx,\n").split_at(900_000).0);
    let left = format!("a:\n  b: [\n{}]\n", full_of("x,\n").split_at(900_000).0);
    let quoted = format!("a: \"{}\"\ndbs: []\n", "\\\n\n".repeat(300_000));
    let keys: String = (0..90_000).map(|n| format!("k{n}: v\n")).collect();
    let escapes = format!("a: [{}]", "\"\\\\/\",".repeat(100_000));
    let lines = [
        ("an alias bomb", laughs()),
        ("a merge bomb", merges),
        ("anchors of anchors", anchors),
        ("anchors in anchors", nested),
        ("deep brackets", full_of("[")),
        ("deep braces", full_of("{a: ")),
        ("deep dashes", full_of("- ")),
        ("deep question marks", full_of("? ")),
        ("deep blocks", blocks),
        ("a long line", format!("dbs: {}", "x".repeat(MAX - 100))),
        ("a long key", format!("{}: x\ndbs: []\n", "k".repeat(MAX - 100))),
        ("a long tag", format!("dbs: !{} x\n", "t".repeat(MAX - 100))),
        ("a long anchor", format!("dbs: &{} x\n", "a".repeat(MAX - 100))),
        ("many tabs", tabs),
        ("many lines on the left", left),
        ("many line breaks in quotes", quoted),
        ("many keys", keys),
        ("many escapes", escapes),
        ("many directives", full_of("%TAG !a! tag:x,1:\n")),
        ("many documents", full_of("---\n")),
        ("a variable that grows", format!("dbs: {}", full_of("$LONG").split_at(1_000_000).0)),
        ("10 MB", "# comment\n".repeat(MAX)),
        ("10 MB of brackets", "[".repeat(10 * MAX)),
        ("one byte too much", "#".repeat(MAX + 1)),
    ];
    let mut all: Vec<_> = lines.map(|(name, text)| (name, text.into_bytes())).into();
    all.push(("NUL", b"dbs: []\n\0".to_vec()));
    all.push(("10 MB of NUL", vec![0; 10 * MAX]));
    all.push(("not UTF-8", b"dbs: []\n# \xff\xfe\n".to_vec()));
    all.push(("half a character", b"dbs: []\n# \xc3".to_vec()));
    all.push(("UTF-16", "\u{feff}dbs: []\n".encode_utf16().flat_map(u16::to_le_bytes).collect()));
    all.push(("a program", fs::read("/proc/self/exe").expect("this program").split_at(MAX / 2).0.to_vec()));
    all
}

#[test]
fn bombs_do_not_go_off() {
    let world = World::new();
    let mut texts = String::new();
    for (name, bytes) in bombs() {
        let path = world.path("litestream.yml");
        fs::write(&path, bytes).expect("the world can be written");
        let ended = read(&world, "run", &path).expect_code(78);
        let _ = writeln!(texts, "# {name}\n{}", said(&world, &ended));
        read(&world, "check", &path).expect_code(78);
    }
    insta::assert_snapshot!(texts);
}

#[test]
fn what_is_no_file_is_told_and_not_waited_for() {
    let world = World::new();
    let path = |name: &str| world.path(name);
    mkfifo(&path("fifo"), Mode::S_IRWXU).expect("a pipe");
    fs::create_dir(path("folder")).expect("a folder");
    symlink("loop", path("loop")).expect("a link");
    symlink("nowhere", path("dangling")).expect("a link");
    let _socket = UnixListener::bind(path("socket")).expect("a socket");
    let mut texts = String::new();
    let all = ["fifo", "folder", "loop", "dangling", "socket"].map(path);
    for path in
        all.iter().map(|path| path.as_path()).chain(["/dev/zero", "/dev/null", "/dev/full"].map(Path::new))
    {
        let ended = read(&world, "run", path).expect_code(78);
        let _ = writeln!(texts, "{}", said(&world, &ended));
        read(&world, "check", path).expect_code(78);
    }
    insta::assert_snapshot!(texts);
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let world = World::new();
    let config = world.write("litestream.yml", "dbs: []\n");
    fs::set_permissions(&config, Permissions::from_mode(0o000)).expect("ours");
    fs::set_permissions(world.root(), Permissions::from_mode(0o755)).expect("ours");
    // Root may read everything; the program itself may be where nobody else can see it.
    let user = if geteuid().is_root() { "setpriv --reuid=65534 --clear-groups" } else { "" };
    let script = format!("cp \"$1\" litekeeper && shift && exec {user} ./litekeeper \"$@\"");
    let wrapper = ["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()];
    let keeper = Keeper::new(&world).config(&config).env("LITEKEEPER_RUNTIME_DIR", "/nowhere");
    let ended = keeper.app(["true"]).wrapped(wrapper).run().expect_code(78);
    assert_eq!(
        said(&world, &ended),
        "/world/litestream.yml: the configuration cannot be read: permission denied\nhint: name a file that this user can read with --config"
    );
}

#[test]
fn a_link_and_a_pipe_with_a_writer_are_read() {
    let world = World::new();
    world.write("real.yml", "dbs: [{path: none.db, replica: {path: replica}}]\n");
    symlink("real.yml", world.path("one.yml")).expect("a link");
    symlink("one.yml", world.path("two.yml")).expect("a link");
    for name in ["one.yml", "two.yml"] {
        Keeper::new(&world).config(&world.path(name)).app(["true"]).run().expect_code(0);
    }
    let fifo = world.path("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).expect("a pipe");
    let running = Keeper::new(&world).config(&fifo).app(["true"]).start();
    // Waits until it is opened for reading.
    fs::write(&fifo, "dbs: [{path: none.db, replica: {path: replica}}]\n").expect("the pipe has a reader");
    running.finish().expect_code(0);
}

fn modes(folder: &Path) -> Vec<(String, u32, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read").flatten() {
        let meta = entry.metadata().expect("it is there");
        let name = entry.file_name().to_string_lossy().into_owned();
        if meta.is_dir() {
            found.extend(modes(&entry.path()));
        }
        let name = if name.starts_with("run-") { "run".to_owned() } else { name };
        found.push((name, meta.permissions().mode() & 0o7777, meta.uid()));
    }
    found.sort();
    found
}

#[test]
fn what_is_generated_is_private_whatever_the_umask() {
    for mask in ["0000", "0777", "0222"] {
        let world = World::new();
        let root = world.path("made");
        let db = world.db();
        let trace = world.trace();
        let app = App::new(&trace).on_exit("TERM", 0).insert_forever(&db, 20);
        let keeper = unit::keeper(&world).env("LITEKEEPER_RUNTIME_DIR", &root);
        let running = keeper.wrapped(wrap::umask(mask)).app(app).start();
        trace.wait_acked(1);
        let own = Uid::effective().as_raw();
        assert_eq!(fs::metadata(&root).expect("it is there").permissions().mode() & 0o7777, 0o700, "{mask}");
        let wanted = [
            ("keeper.sock".to_owned(), 0o600, own),
            ("litestream.sock".to_owned(), 0o600, own),
            ("litestream.yml".to_owned(), 0o600, own),
            ("lock".to_owned(), 0o600, own),
            ("run".to_owned(), 0o700, own),
            ("source".to_owned(), 0o600, own),
        ];
        assert_eq!(modes(&root), wanted, "{mask}");
        running.stop(0);
        assert_eq!(world.list("made"), [""; 0], "{mask}");
    }
}

/// Whoever may write to `/tmp` can be there first.
#[test]
fn a_folder_that_somebody_else_has_made_is_not_taken() {
    let world = World::new();
    let config = world.write(
        "litestream.yml",
        "dbs: [{path: a.db, replica: {url: 's3://b/a', secret-access-key: hunter2}}]\n",
    );
    let theirs = world.path("theirs");
    fs::create_dir(&theirs).expect("a folder");
    let refused = |root: &Path| {
        let keeper = Keeper::new(&world).config(&config).env("LITEKEEPER_RUNTIME_DIR", root);
        let ended = keeper.app(["true"]).run().expect_code(78);
        assert_eq!(world.list("theirs"), [""; 0], "{}", ended.log);
        said(&world, &ended)
    };
    let mut texts = String::new();
    let mut note = |name: &str, text: String| writeln!(texts, "# {name}\n{text}").expect("a String");
    let link = world.path("link");
    symlink(&theirs, &link).expect("a link");
    note("a link", refused(&link));
    fs::remove_file(&link).expect("ours");
    symlink(world.path("theirs/new"), &link).expect("a link");
    note("a link to nothing", refused(&link));
    fs::set_permissions(&theirs, Permissions::from_mode(0o777)).expect("ours");
    note("open to all", refused(&theirs));
    fs::set_permissions(&theirs, Permissions::from_mode(0o720)).expect("ours");
    note("open to a group", refused(&theirs));
    note("a file", refused(&world.write("file", "")));
    insta::assert_snapshot!(texts);
    if geteuid().is_root() {
        let nobody = User::from_name("nobody").expect("the user database").expect("nobody is everywhere");
        fs::set_permissions(&theirs, Permissions::from_mode(0o700)).expect("ours");
        chown(&theirs, Some(nobody.uid.as_raw()), None).expect("root may");
        assert!(refused(&theirs).contains("no place for the runtime folder"));
    }
}
