//! The invariants of the fuzz targets, over texts that chance writes.

#[path = "../../fuzz/leaves.rs"]
mod invariants;

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
}
