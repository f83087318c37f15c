//! What may be shown of a configuration: everything but what opens a replica or belongs to the app alone.

use crate::config::values::variables::{file_reference, reference};
use crate::secrets::{HIDDEN, is_secret_name, mask_value};
use crate::yaml::{Node, NodeKind, Scalar, Variable};

/// Hides every secret below `node`: what the table of settings calls one, what an unknown key calls
/// one, and user and query of every URL. What is in a variable stays its name.
pub fn redact(node: &mut Node) {
    hide(node, false);
}

fn hide(node: &mut Node, secret: bool) {
    let is_reference = is_reference(node);
    match &mut node.kind {
        NodeKind::Mapping(entries) => {
            for (key, value) in entries {
                hide(value, is_secret(key.key(), is_reference, secret));
                // A URL may have been written in a key's place.
                hide(key, false);
            }
        }
        NodeKind::Sequence(items) => items.iter_mut().for_each(|item| hide(item, secret)),
        NodeKind::Scalar(scalar @ Scalar { variable: Some(Variable::Named(_)), .. }) => {
            *scalar =
                Scalar { text: String::new(), plain: false, tag: None, variable: scalar.variable.take() };
        }
        NodeKind::Scalar(scalar) => {
            let shown = if secret { hidden(&scalar.text) } else { mask_value(&scalar.text) };
            if shown != scalar.text {
                *scalar = Scalar { text: shown, plain: false, tag: None, variable: None };
            }
            // What was put together from variables is written out: there is nothing secret left in it.
            scalar.variable = None;
        }
    }
}

/// Says whether a value is somewhere else: `{env: NAME}` names a variable, and `{file: PATH}` a file.
pub(in crate::config) fn is_reference(node: &Node) -> bool {
    reference(node).is_some() || file_reference(node).is_some()
}

/// Says whether the value of `key` is a secret, in a mapping that is one itself or not.
fn is_secret(key: &str, is_reference: bool, secret: bool) -> bool {
    let is_name = is_reference && key != "default";
    !is_name && (secret || is_secret_name(key))
}

/// Calls `see` with each value that [`redact`] would hide, and with the parts of URLs that are secret by themselves.
pub fn each_secret(node: &Node, see: &mut dyn FnMut(&str)) {
    find(node, false, see);
}

fn find(node: &Node, secret: bool, see: &mut dyn FnMut(&str)) {
    match &node.kind {
        NodeKind::Mapping(entries) => {
            let is_reference = is_reference(node);
            for (key, value) in entries {
                find(value, is_secret(key.key(), is_reference, secret), see);
            }
        }
        NodeKind::Sequence(items) => items.iter().for_each(|item| find(item, secret, see)),
        NodeKind::Scalar(scalar) if secret => see(&scalar.text),
        NodeKind::Scalar(scalar) => secrets_of_url(&scalar.text).for_each(see),
    }
}

/// Returns the password of a URL, and the values of its query that are called secret.
pub fn secrets_of_url(text: &str) -> impl Iterator<Item = &str> {
    // The scheme may have been left out.
    let url = text.split_once("://").or_else(|| text.split_once("//")).map_or("", |(_, url)| url);
    let place = url.split(['?', '#']).next().unwrap_or_default();
    // What the password holds may not be encoded, but what stands before a query ends there.
    let user = place.rsplit_once('@').or_else(|| url.rsplit_once('@'));
    let password = user.and_then(|(user, _)| Some(user.split_once(':')?.1));
    let query = url.split_once('?').map_or("", |(_, query)| query).split('&');
    let values = query.filter_map(|pair| pair.split_once('='));
    password.into_iter().chain(values.filter(|(name, _)| is_secret_name(name)).map(|(_, value)| value))
}

fn hidden(text: &str) -> String {
    if text.is_empty() { String::new() } else { HIDDEN.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{emit, parse};

    #[test]
    fn a_url_has_its_password_before_its_query() {
        let secrets = |text| secrets_of_url(text).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(secrets("s3://u:p@b/p?secret-access-key=AAA@BBB&x=C"), ["p", "AAA@BBB"]);
        assert_eq!(secrets("s3://u:p?q@b/p"), ["p?q"]);
        assert_eq!(secrets("//u:p@b/p"), ["p"]);
        assert_eq!(secrets("/var//lib/x"), [""; 0]);
    }

    #[test]
    fn secrets_are_hidden_and_nothing_else() {
        let text = "\
access-key-id: hunter2
dbs:
  - path: /data/app@home.db
    replica:
      url: s3://hunter2:hunter/2@bucket/path?key=hunter2
      endpoint: http://u:hunter2@host:9000
      s3://u:hunter2@bucket/path:
      addr: ':9090?token=hunter2'
      host: //u:hunter2@h/p
      one: s3://u:p@b/p?secret-access-key=hunter2@hunter2&x=hunter2
      two: s3://b/p?secret-access-key=hunter2 hunter2
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
          - path: /data/app@home.db
            replica:
              url: "s3://(hidden)@bucket/path?(hidden)"
              endpoint: "http://(hidden)@host:9000"
              "s3://(hidden)@bucket/path":
              addr: ":9090?token=(hidden)"
              host: "//u:(hidden)@h/p"
              one: "s3://(hidden)"
              two: "s3://b/p?(hidden)"
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
}
