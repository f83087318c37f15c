//! What was probably meant by a text that is no place.

use crate::config::model::url::escape;
use crate::secrets;

/// Says what to write in the place of a text that is no URL. What of it may be a secret is not shown.
pub(in crate::config) fn meant(text: &str) -> String {
    let may_be_secret = text.contains(['@', '?', '#']) || secrets::mask(text) != text;
    let is_plain = |path: &str| escape(path) == path && !path.contains("//");
    let generic = "write s3://BUCKET/PATH, file:///FOLDER or the like".to_owned();
    if may_be_secret || text.chars().any(char::is_control) {
        return generic;
    }
    if text.starts_with('/') && is_plain(text) {
        return format!("did you mean `file://{text}`?");
    }
    if let Some((scheme, rest)) = text.split_once(':') {
        let scheme = scheme.to_ascii_lowercase();
        let rest = rest.trim_start_matches('/');
        let is_known =
            ["s3", "gs", "abs", "sftp", "nats", "oss", "webdav", "webdavs"].contains(&scheme.as_str());
        // `user:password` may look so.
        return if is_known && !rest.is_empty() && !rest.contains(':') {
            format!("did you mean `{scheme}://{rest}`?")
        } else {
            generic
        };
    }
    match ["./", "../", "~/"].iter().any(|start| text.starts_with(start)) || text == "~" {
        true => format!(
            "a URL has the whole path of a folder: file:///…/{}",
            text.trim_start_matches(['.', '~', '/'])
        ),
        false => generic,
    }
}

/// Returns the same of a text that may be a folder as well; none where it cannot be told.
pub(in crate::config) fn meant_place(text: &str) -> Option<String> {
    let found = meant(text);
    if found.starts_with("did you mean") {
        return Some(found);
    }
    let is_name = text.contains(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    (is_name && secrets::mask(text) == text)
        .then(|| format!("did you mean the folder `./{text}`, or the bucket `s3://{text}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_has_one_that_may_be_meant() {
        for (text, said) in [
            ("/folder", "did you mean `file:///folder`?"),
            ("s3:/b/x", "did you mean `s3://b/x`?"),
            ("S3:b/x", "did you mean `s3://b/x`?"),
            ("./rep", "a URL has the whole path of a folder: file:///…/rep"),
            ("bucket/path", "write s3://BUCKET/PATH, file:///FOLDER or the like"),
            ("key:hunter2@b", "write s3://BUCKET/PATH, file:///FOLDER or the like"),
            ("/a?token=hunter2", "write s3://BUCKET/PATH, file:///FOLDER or the like"),
        ] {
            assert_eq!(meant(text), said, "{text}");
        }
    }
}
