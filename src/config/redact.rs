//! What may be shown of a configuration: everything but what opens a replica or belongs to the app alone.

use super::node::{Node, NodeKind, Scalar, Variable};
use super::schema::{self, Secrecy, Section};

/// What stands in the place of a secret.
pub const HIDDEN: &str = "(hidden)";

/// Hides every secret below `node`: what the table of settings calls one, what an unknown key calls
/// one, and user and query of every URL. What is in a variable stays its name.
pub fn redact(node: &mut Node) {
    hide(node, false);
}

fn hide(node: &mut Node, secret: bool) {
    match &mut node.kind {
        NodeKind::Mapping(entries) => {
            // `{env: NAME}` names a variable.
            let is_reference = matches!(entries.as_slice(), [(key, _)] if key.key() == "env");
            for (key, value) in entries {
                hide(value, !is_reference && (secret || is_secret(key.key())));
            }
        }
        NodeKind::Sequence(items) => items.iter_mut().for_each(|item| hide(item, secret)),
        NodeKind::Scalar(scalar @ Scalar { variable: Some(Variable::Named(_)), .. }) => {
            *scalar =
                Scalar { text: String::new(), plain: false, tag: None, variable: scalar.variable.take() };
        }
        NodeKind::Scalar(scalar) => {
            let shown = if secret { hidden(&scalar.text) } else { url(&scalar.text) };
            if shown != scalar.text {
                *scalar = Scalar { text: shown, plain: false, tag: None, variable: None };
            }
            // What was put together from variables is written out: there is nothing secret left in it.
            scalar.variable = None;
        }
    }
}

fn hidden(text: &str) -> String {
    if text.is_empty() { String::new() } else { HIDDEN.to_owned() }
}

/// Whether what has this name is a secret: a setting that is one, or a name that nobody would give to
/// anything else.
pub fn is_secret(name: &str) -> bool {
    let kebab = name.replace('_', "-").to_ascii_lowercase();
    let known = Section::ALL.into_iter().any(|section| section.key(&kebab).is_some());
    let looks = ["password", "passwd", "passphrase", "secret", "token", "credential", "private"];
    let is_key = || kebab.split(['-', '.']).any(|part| matches!(part, "key" | "keys" | "pass" | "apikey"));
    match schema::secrecy(&kebab) {
        Secrecy::Secret => true,
        Secrecy::Open | Secrecy::Address if known => false,
        Secrecy::Open | Secrecy::Address => looks.iter().any(|part| kebab.contains(part)) || is_key(),
    }
}

/// A text without the user and the query of the URL that it may be or end with.
pub fn url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    // A password that was not encoded may hold anything, so all before the last @ goes.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => (format!("{HIDDEN}@"), rest),
        None => (String::new(), rest),
    };
    match rest.split_once('?') {
        Some((rest, _)) => format!("{scheme}://{user}{rest}?{HIDDEN}"),
        None => format!("{scheme}://{user}{rest}"),
    }
}

/// The words of a command: `--token=x`, `--token x` and `TOKEN=x` keep their names only.
pub fn words(words: &[String]) -> Vec<String> {
    let name = |word: &str| word.trim_start_matches('-').to_owned();
    let mut after_secret = false;
    let shown = words.iter().map(|word| {
        let was_after = std::mem::take(&mut after_secret);
        match word.split_once('=') {
            Some((option, value)) if is_secret(&name(option)) => format!("{option}={}", hidden(value)),
            Some(_) | None if was_after && !word.starts_with('-') => hidden(word),
            Some((option, value)) => format!("{option}={}", url(value)),
            None => {
                after_secret = word.starts_with('-') && is_secret(&name(word));
                url(word)
            }
        }
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::super::emit::emit;
    use super::super::parse::parse;
    use super::*;

    #[test]
    fn secrets_are_hidden_and_nothing_else() {
        let text = "\
access-key-id: hunter2
dbs:
  - path: /data/app@home.db
    replica:
      url: s3://hunter2:hunter/2@bucket/path?key=hunter2
      endpoint: http://u:hunter2@host:9000
      secret_access_key: hunter2
      key-path: /id_rsa
      sse-kms-key-id: open
      password:
      x-api-key: hunter2
      my_Token: {a: hunter2, b: [hunter2]}
      keyboard: open
      password-of: {env: NAME}
age: {identities: [hunter2], recipients: [open]}
";
        let mut root = parse(text).expect("valid YAML");
        redact(&mut root);
        insta::assert_snapshot!(emit(&root).text, @r#"
        access-key-id: "(hidden)"
        dbs:
          - path: "/data/app@home.db"
            replica:
              url: "s3://(hidden)@bucket/path?(hidden)"
              endpoint: "http://(hidden)@host:9000"
              secret_access_key: "(hidden)"
              key-path: /id_rsa
              sse-kms-key-id: open
              password:
              x-api-key: "(hidden)"
              my_Token:
                a: "(hidden)"
                b:
                  - "(hidden)"
              keyboard: open
              password-of:
                env: NAME
        age:
          identities:
            - "(hidden)"
          recipients:
            - open
        "#);
    }

    #[test]
    fn words_of_a_command_keep_their_names() {
        let command = [
            "bin/x",
            "--token=hunter2",
            "--api-key",
            "hunter2",
            "-v",
            "--password",
            "-w",
            "A_SECRET=hunter2",
        ];
        let command =
            [&command[..], &["--url=pg://u:hunter2@h/d", "pg://u:hunter2@h/d", "--port", "80"]].concat();
        let command: Vec<String> = command.into_iter().map(str::to_owned).collect();
        assert_eq!(
            words(&command).join(" "),
            "bin/x --token=(hidden) --api-key (hidden) -v --password -w A_SECRET=(hidden) \
             --url=pg://(hidden)@h/d pg://(hidden)@h/d --port 80"
        );
    }
}
