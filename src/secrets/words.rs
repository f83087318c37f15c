//! The words of a command without what may be a secret in them.
//!
//! What nobody can know by a name, a place or a beginning is shown: a password that stands alone is a word like another.

use super::{HIDDEN, is_secret_name, mask};

/// Ends of names that are written in one, and words that end so without being one.
const ENDS: [&str; 4] = ["pass", "pwd", "key", "session"];
const OTHER_ENDS: [&str; 11] = [
    "compass",
    "bypass",
    "trespass",
    "monkey",
    "turkey",
    "donkey",
    "hockey",
    "jockey",
    "hotkey",
    "pubkey",
    "publickey",
];

/// Options whose value is `user:password`.
const USERS: [&str; 4] = ["-u", "-U", "--user", "--proxy-user"];

/// Programs that take a password in a short option.
const SHORT: [Short; 4] = [
    // `-p` alone asks for it.
    Short { program: "mysql", option: "-p", is_next: false },
    Short { program: "mariadb", option: "-p", is_next: false },
    Short { program: "sshpass", option: "-p", is_next: true },
    Short { program: "redis-cli", option: "-a", is_next: true },
];

/// How the programs whose names begin so are told a password.
struct Short {
    program: &'static str,
    option: &'static str,
    /// It may be the next word.
    is_next: bool,
}

/// The words of a command: what is called a secret in it keeps its name only, as `--token=x`, `--token x`, `TOKEN=x`,
/// `Token: x` and `{"token": "x"}`, also in the middle of a word; so do users with their passwords, URLs, and what
/// begins as only tokens do.
pub fn mask_words(words: &[String]) -> Vec<String> {
    let mut state = State::default();
    // Of a URL that a space in its password has cut: the words that are inside of the password, and the one that ends it.
    let mut inside = vec![Inside::No; words.len()];
    for at in 0..words.len() {
        let count = url_end(&words[at..]);
        if count > 0 {
            inside[at + 1..at + count].fill(Inside::All);
            inside[at + count] = Inside::End;
        }
    }
    let shown = |(word, inside): (&String, &Inside)| match (inside, word.rsplit_once('@')) {
        (Inside::No, _) => state.word(word),
        (Inside::End, Some((_, place))) => format!("{HIDDEN}@{}", mask_one(place)),
        (Inside::All | Inside::End, _) => HIDDEN.to_owned(),
    };
    words.iter().zip(&inside).map(shown).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    No,
    All,
    End,
}

/// How many of the words behind the first belong to the URL that it begins, up to the `@` behind the password.
fn url_end(words: &[String]) -> usize {
    let Some((first, rest)) = words.split_first() else { return 0 };
    let begins = first.rsplit_once("://").is_some_and(|(_, url)| !url.contains('@') && super::is_half(url));
    let near = rest.iter().take(LONGEST_PASSWORD);
    let ends = near.enumerate().rfind(|(_, word)| word.contains('@'));
    ends.filter(|_| begins).map_or(0, |(at, _)| at + 1)
}

/// So many words a password may have.
const LONGEST_PASSWORD: usize = 16;

/// What the words before say of the next one.
#[derive(Default)]
struct State {
    next: Next,
    short: Option<&'static Short>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Any,
    Secret,
    User,
}

impl State {
    fn word(&mut self, word: &str) -> String {
        match std::mem::take(&mut self.next) {
            Next::Secret if !word.starts_with('-') => return hidden(word),
            Next::User if !word.starts_with('-') => return without_password(word),
            Next::Any | Next::Secret | Next::User => {}
        }
        let program = word.rsplit('/').next().unwrap_or(word);
        self.short = SHORT.iter().find(|short| program.starts_with(short.program)).or(self.short);
        if let Some(Short { option, is_next, .. }) = self.short
            && let Some(value) = word.strip_prefix(option)
        {
            self.next = if value.is_empty() && *is_next { Next::Secret } else { Next::Any };
            return format!("{option}{}", hidden(value));
        }
        if word.starts_with('-') && !word.contains(['=', ':']) {
            self.next = match () {
                () if is_secret_key(word) => Next::Secret,
                () if USERS.contains(&word) => Next::User,
                () => Next::Any,
            };
        }
        script(word)
    }
}

/// A text that may be commands by itself (`sh -c '…'`).
fn script(text: &str) -> String {
    let shown = mask_one(text);
    let words = split(&shown);
    if words.len() < 2 {
        return shown;
    }
    let masked = mask_words(&words);
    if masked == words { shown } else { masked.join(" ") }
}

/// The words as a shell reads them, roughly: what is in quotes is one. A comment is none, since it is shown.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote, mut is_escaped) = (None::<String>, None, false);
    for c in text.chars() {
        match (c, quote) {
            _ if std::mem::take(&mut is_escaped) => word.get_or_insert_default().push(c),
            ('\\', None | Some('"')) => {
                is_escaped = true;
                word.get_or_insert_default();
            }
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// One text, whatever it is a part of.
pub(super) fn mask_one(text: &str) -> String {
    let Some(end) = secret_value(text).into_iter().chain(bearer(text)).min() else {
        return without_users(&mask(text));
    };
    // If what is left out belongs to a user, so does what stands before it.
    let host = if text[end..].contains('@') { "@" } else { "" };
    let shown = without_users(&mask(&format!("{}{HIDDEN}{host}", &text[..end])));
    shown.strip_suffix(host).map_or(shown.clone(), str::to_owned)
}

/// Where the value of the first secret begins: all behind it may be a part of it.
fn secret_value(text: &str) -> Option<usize> {
    let mut marks = text.match_indices(['=', ':']).map(|(at, _)| at);
    marks.find_map(|at| {
        let before = text[..at].trim_end_matches(|c: char| c.is_whitespace() || "\"'`\\])".contains(c));
        let name = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "-_.".contains(c));
        let value = &text[at + 1..];
        let value = value.trim_start_matches([' ', '>']);
        let is_some = value.contains(|c: char| !c.is_whitespace() && !"\"'`\\,;}".contains(c));
        (is_some && is_secret_key(&before[name.len()..])).then_some(text.len() - value.len())
    })
}

/// Where the token of `Bearer TOKEN` begins.
fn bearer(text: &str) -> Option<usize> {
    const BEARER: &str = "bearer ";
    let at = text.to_ascii_lowercase().find(BEARER)? + BEARER.len();
    (!text[at..].trim().is_empty()).then_some(at)
}

/// Whether what has this name in a command is a secret: names are written in one there, and in camel case.
fn is_secret_key(name: &str) -> bool {
    let name = name.trim_start_matches('-');
    let mut kebab = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && kebab.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) {
            kebab.push('-');
        }
        kebab.push(c);
    }
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or(name).to_ascii_lowercase();
    is_secret_name(name)
        || is_secret_name(&kebab)
        || ENDS.iter().any(|end| last.ends_with(end)) && !OTHER_ENDS.iter().any(|other| last.ends_with(other))
}

/// The text without the passwords of `user:password@host`, wherever that stands.
fn without_users(text: &str) -> String {
    text.split_inclusive(char::is_whitespace).map(without_user).collect()
}

fn without_user(token: &str) -> String {
    let Some(at) = token.rfind('@') else { return token.to_owned() };
    // Of `scheme://` the user is hidden already.
    let start = match token.find("//") {
        Some(slashes) if !token[..slashes].trim_end_matches(':').contains(':') => slashes + 2,
        Some(_) | None => 0,
    };
    match token.get(start..at).and_then(|user| user.find(':')) {
        Some(colon) => format!("{}{HIDDEN}{}", &token[..=start + colon], &token[at..]),
        None => token.to_owned(),
    }
}

/// `user:password`.
fn without_password(word: &str) -> String {
    match word.split_once(':') {
        Some((user, password)) => format!("{user}:{}", hidden(password)),
        None => script(word),
    }
}

fn hidden(text: &str) -> String {
    if text.is_empty() { String::new() } else { HIDDEN.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_of_a_command_keep_their_names() {
        for (words, shown) in [
            (
                &["bin/x", "--token=hunter2", "--api-key", "hunter2", "-v"][..],
                "bin/x --token=(hidden) --api-key (hidden) -v",
            ),
            (&["--password", "-w", "A_SECRET=hunter2"], "--password -w A_SECRET=(hidden)"),
            (
                &["--url=pg://u:hunter2@h/d", "pg://u:hunter2@h/d", "--port", "80"],
                "--url=pg://(hidden)@h/d pg://(hidden)@h/d --port 80",
            ),
            (&["postgres://u:hunter2@h/d?sslmode=require"], "postgres://(hidden)@h/d?(hidden)"),
            (&["curl", "-H", "Authorization: Bearer hunter2"], "curl -H Authorization: (hidden)"),
            (&["sh", "-c", "MYSQL_PWD=hunter2 mysql  -e x"], "sh -c MYSQL_PWD=(hidden)"),
            (&["sh", "-c", "exec mysql --password hunter2  x"], "sh -c exec mysql --password (hidden) x"),
            (&["sh", "-c", "a  b\nc"], "sh -c a  b\nc"),
        ] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(mask_words(&words).join(" "), shown);
        }
    }

    /// A command with a secret in it: one word a line.
    const COMMANDS: &[&str] = &[
        "sh -c 'PGPASSWORD=SECRET psql'",
        "mig\nnats://u:a\nbSECRET@h/b",
        "mig\nnats://u:a\nSECRET\nb\nSECRET@h/b",
        "sh\n-c\nPGPASSWORD=SECRET psql",
        "sh\n-c\nexport PGPASSWORD='SECRET' && exec psql",
        "sh\n-c\nexec psql --password 'SECRET and SECRET' x",
        "curl\n--header=X-Api-Key: SECRET",
        "curl\n-HX-Api-Key: SECRET",
        "curl\n-H\nAuthorization: Bearer SECRET",
        "curl\n-H\nX: Bearer SECRET",
        "curl\n-u\nu:SECRET\nhttps://h",
        "sh\n-c\ncurl -u 'u:SECRET' https://h",
        "app\n--user\nu:SECRET",
        "app\n--user=u:SECRET@h",
        "app\nServer=h;User Id=u;Password=SECRET;Encrypt=true",
        "app\nServer=h;User Id=u;Pwd = SECRET",
        "app\nhost=h password = 'SECRET'",
        "app\nsqlserver://h;password=SECRET;",
        "app\n//u:SECRET@h/",
        "app\nu:SECRET@h/d",
        "app\nuser:SECRET@host:22/x",
        "app\n--dsn=u:SECRET@tcp(h:3306)/d",
        "mysql\n-pSECRET",
        "sh\n-c\nexec /usr/bin/mysqldump -uroot -pSECRET x",
        "sshpass\n-pSECRET\nssh\nh",
        "sshpass\n-p\nSECRET\nssh\nh",
        "redis-cli\n-a\nSECRET",
        "app\n{\"password\":\"SECRET\"}",
        "app\n{\"a\": 1, \"api_key\" : \"SECRET\"}",
        "app\n{\\\"password\\\":\\\"SECRET\\\"}",
        "app\n{'password' => 'SECRET'}",
        "app\n--dbpass=SECRET",
        "app\n--userpass=SECRET",
        "app\n--accesskey=SECRET",
        "app\n--accesskey\nSECRET",
        "app\n--session=SECRET",
        "app\nDefaultEndpointsProtocol=https;AccountKey=SECRET;",
        "app\nAccountKey=SECRET;",
        "app\nPASSWORD:SECRET",
        "app\nx=1,dbPassword:SECRET",
    ];

    #[test]
    fn what_is_no_secret_is_shown() {
        for command in [
            "bundle exec puma -C config/puma.rb",
            "node --max-old-space-size=512 server.js",
            "gunicorn -b 0.0.0.0:8000 app:app",
            "docker run -p 80:80 -u 1000:1000 image:tag",
            "git clone git@github.com:o/r.git",
            "app --monkey=1 --author x --path /a:/b --mode=a=b",
            "npm run start -- --port=3000",
            "mkdir -p/x",
            "php artisan serve --host=127.0.0.1 --env=production",
            "litestream restore s3://b/p /data/app.db",
            "sk-learn eyJunk ghp",
        ] {
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            let shown = mask_words(&words).join(" ").replace("1000:(hidden)", "1000:1000");
            assert_eq!(shown, command);
            assert_eq!(
                mask_words(&["sh".to_owned(), "-c".to_owned(), command.to_owned()])[2]
                    .replace("1000:(hidden)", "1000:1000"),
                command
            );
        }
    }

    #[test]
    fn tokens_are_known_by_their_beginnings() {
        for token in [
            "ghp_QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQZZZZ",
            "github_pat_QQQQQQQQQQQQQQQQQQQQQQ_ZZZZZZZZZZ",
            "glpat-QQQQQQQQQQQQQQZZZZZZ",
            "sk_live_QQQQQQQQQQQQQQQQZZZZZZ",
            "xoxb-QQQQQQQQQQQQ-ZZZZZZZZZZZZ",
            "sk-ant-api03-QQQQQQQQQQQQ-ZZZZZZZZ",
            "eyJQQQQQQQQQQQ.eyJZZZZZZZZZ.ZZZZZZZ-ZZ",
            "https://hooks.slack.com/services/TQQQ/BQQQ/ZZZZZZZZ",
            "https://discord.com/api/webhooks/1234/QQQ-ZZZ",
            "https://api.telegram.org/bot12345:QQQQZZZZ/sendMessage",
        ] {
            for text in [token.to_owned(), format!("x {token}, y"), format!("a='{token}'")] {
                for shown in [mask(&text).into_owned(), mask_words(std::slice::from_ref(&text)).join(" ")] {
                    assert!(!shown.contains("QQQ") && !shown.contains("ZZZ"), "{text} is shown as {shown}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_piece_of_a_secret_in_a_command_is_shown(
            odd in "[@?#=%:&/;,.+!$*~-]{0,4}",
            (before, after) in ("[?#%&;,.+!]{0,2}", "[?#=%:&/;,.+!]{0,2}"),
            at in 0..COMMANDS.len(),
        ) {
            let secret = format!("{before}QQQ{odd}ZZZ{after}");
            let words: Vec<String> =
                COMMANDS[at].split('\n').map(|word| word.replace("SECRET", &secret)).collect();
            let joined = vec!["sh".to_owned(), "-c".to_owned(), words.join(" ")];
            for shown in [mask_words(&words).join(" "), mask_words(&joined).join(" ")] {
                prop_assert!(!shown.contains("QQQ") && !shown.contains("ZZZ"), "{:?} is shown as {}", words, shown);
            }
        }
    }
}
