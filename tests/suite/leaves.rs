//! The invariants of the fuzz targets, over texts that chance writes.

#[path = "../../fuzz/leaves.rs"]
mod invariants;
#[path = "../../fuzz/kept.rs"]
mod kept;
#[path = "../../fuzz/said.rs"]
mod said;

use proptest::prelude::*;

/// Bytes, and texts of what the readers know.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "A=",
        "${A}",
        "$",
        "\"",
        "'",
        "\\",
        "\n",
        "\r",
        "#",
        "export ",
        "://",
        "@",
        "?",
        "=",
        "%",
        ":",
        "s3",
        "u:p",
        " ",
        "-",
        "--token",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\"path\"",
        "\"txid\":",
        "\"replicated_txid\":7",
        "HTTP/1.0 200 OK\r\n\r\n",
        "\"max_txid\":\"000000000000001f\"",
        "\"level\":\"ERROR\"",
        "\"msg\":",
        "\"error\":",
        "Error: ",
        " ERROR ",
        "0000000000000001",
        "000000000000000a",
        ".ltx",
        "pid ",
        "keeper /",
        "\"added\":[",
        "\"exit_code\":",
        "0123456789abcdef",
        "9",
        "2026-11-21T04:25:22Z",
        "\"dbs\"",
        "\"env\"",
        "a.db",
        "<%=",
        "%>",
        "ENV['X']",
        "adapter: sqlite3",
        "database: ",
        "production:\n  ",
        "DATABASES = {",
        "BASE_DIR / ",
        "os.environ.get('X', ",
        "=> [",
        "env('DB', ",
        "provider = ",
        "url = env(\"X\")",
        "config :app, App.Repo, database: ",
        "System.get_env(",
        "//",
        "/*",
        "*/",
        "\"\"\"",
        "(",
        ")",
        "\u{1b}[31m",
        "\u{9b}",
        "\u{2028}",
        "\u{feff}",
        "é",
        "\0",
    ];
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        proptest::collection::vec(prop::sample::select(pieces.to_vec()), 0..60)
            .prop_map(|pieces| pieces.concat().into_bytes()),
    ]
}

proptest! {
    #[test]
    fn no_url_shows_a_secret(bytes in texts()) {
        invariants::redaction(&bytes);
    }

    #[test]
    fn a_file_of_variables_is_bounded(bytes in texts()) {
        invariants::dotenv(&bytes);
    }

    #[test]
    fn an_answer_is_databases_or_an_error(bytes in texts()) {
        invariants::answer(&bytes);
    }

    #[test]
    fn an_event_is_a_line(bytes in texts()) {
        invariants::line(&bytes);
    }

    #[test]
    fn a_project_is_read_to_an_end(bytes in texts()) {
        invariants::lexers(&bytes);
    }

    #[test]
    fn a_line_of_litestreams_says_what_its_fields_say(bytes in texts()) {
        said::log_line(&bytes);
    }

    #[test]
    fn a_listing_of_litestreams_names_what_is_in_it(bytes in texts()) {
        said::plan(&bytes);
    }

    #[test]
    fn an_answer_of_litestreams_confirms_whole_or_not(bytes in texts()) {
        said::control_answer(&bytes);
    }

    #[test]
    fn the_wire_says_the_same_again(bytes in texts()) {
        said::wire(&bytes);
    }

    #[test]
    fn a_lock_tells_its_holder_in_a_line(bytes in texts()) {
        said::lock_text(&bytes);
    }

    #[test]
    fn a_report_is_a_line_for_each_change(bytes in texts()) {
        said::report(&bytes);
    }
}

/// Files and servers take longer than texts: some of them in each run, more where `PROPTEST_CASES` says so.
fn fewer() -> ProptestConfig {
    let wanted = ProptestConfig::default();
    ProptestConfig { cases: (wanted.cases / 4).max(1), ..wanted }
}

/// What to change in a file, and where.
fn changes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..20)
}

proptest! {
    #![proptest_config(fewer())]

    #[test]
    fn a_server_lists_each_database_once_and_below_its_folder(rows in proptest::collection::vec(row(), 0..6), rest in texts()) {
        let listed = format!("<ListBucketResult>{}</ListBucketResult>", rows.concat());
        said::listing(listed.as_bytes(), &SERVER);
        said::listing(&rest, &SERVER);
    }

    #[test]
    fn a_log_and_its_index_hold_what_is_in_them(bytes in changes(), rest in texts()) {
        let scratch = tempfile::tempdir().expect("a folder");
        kept::log(&bytes, scratch.path());
        kept::log(&rest, scratch.path());
    }

    #[test]
    fn a_file_of_litestreams_has_the_pages_that_were_put_in(bytes in changes(), rest in texts()) {
        let scratch = tempfile::tempdir().expect("a folder");
        kept::file(&bytes, scratch.path());
        kept::file(&rest, scratch.path());
    }

    #[test]
    fn a_folder_of_litestreams_tells_its_position_by_its_own_names(bytes in texts()) {
        let scratch = tempfile::tempdir().expect("a folder");
        kept::folder(&bytes, scratch.path());
    }

    #[test]
    fn no_broken_file_makes_another_database_the_same(bytes in changes()) {
        let scratch = tempfile::tempdir().expect("a folder");
        kept::ledger(&bytes, scratch.path());
    }
}

static SERVER: std::sync::LazyLock<said::Server> = std::sync::LazyLock::new(said::Server::start);

/// A row of a listing, as no server should write it as well.
fn row() -> impl Strategy<Value = String> {
    let pieces = [
        "base",
        "/",
        "a.db",
        "0000",
        "generations",
        "..",
        ".",
        "0000000000000001-000000000000000a.ltx",
        "+",
        "&amp;",
    ];
    let key = proptest::collection::vec(prop::sample::select(pieces.to_vec()), 0..9)
        .prop_map(|pieces| pieces.concat());
    let whole = "[a-c]{1,3}/(x/)?000[0-9]/000000000000000[0-9]-000000000000000[0-9][.]ltx"
        .prop_map(|key| format!("base/{key}"));
    prop_oneof![key, whole].prop_map(|key| {
        format!("<Contents><Key>{key}</Key><Size>1</Size><LastModified>2026-11-21T04:25:20.000Z</LastModified></Contents>")
    })
}
