//! Removing what `check --online` wrote to a server of WebDAV: one request.

use super::agent::Agent;
use super::order::TRIAL;
use crate::remote::Webdav;

/// Removes the folder of a trial (`DELETE` of a collection, RFC 4918).
pub(super) fn remove(order: &Webdav) -> Result<(), String> {
    let last = order.url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if !last.starts_with(TRIAL) {
        return Err(format!("{last} is not the folder of a trial: nothing in it is removed"));
    }
    let mut request = Agent::new(false, order.url.starts_with("https://")).agent().delete(&order.url);
    if let Some(user) = &order.user {
        let who = format!("{user}:{}", order.password.as_deref().unwrap_or_default());
        request = request.header("Authorization", format!("Basic {}", base64(who.as_bytes())));
    }
    let answer = request.call().map_err(|error| error.to_string())?;
    let (said, _) = answer.into_parts();
    if said.status.is_success() { Ok(()) } else { Err(format!("DELETE: {}", said.status)) }
}

/// RFC 4648, with the usual letters.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |place| u32::from(three.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_said_as_http_says_it() {
        for (text, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("u:sesame-open", "dTpzZXNhbWUtb3Blbg=="),
        ] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }

    #[test]
    fn nothing_else_is_removed() {
        let order = Webdav { url: "http://127.0.0.1:1/backups/app/".into(), user: None, password: None };
        assert!(remove(&order).is_err_and(|why| why.contains("not the folder of a trial")));
    }
}
