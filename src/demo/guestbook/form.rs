//! A posted form: `application/x-www-form-urlencoded`, read leniently.

/// What somebody wrote.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who; `anonymous` if the field was empty.
    pub name: String,
    /// What.
    pub message: String,
}

/// Longest name and message, in characters; the rest is cut off.
const LONGEST: (usize, usize) = (80, 1000);

/// Reads the fields `name` and `message`; other fields are ignored, of repeated ones the last counts.
///
/// # Errors
/// What is missing, for the client.
pub fn entry(body: &[u8]) -> Result<Entry, &'static str> {
    let (mut name, mut message) = (String::new(), String::new());
    for pair in body.split(|&byte| byte == b'&') {
        let mut parts = pair.splitn(2, |&byte| byte == b'=');
        let (field, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match decoded(field).as_str() {
            "name" => name = cut(&decoded(value), LONGEST.0),
            "message" => message = cut(&decoded(value), LONGEST.1),
            _ => {}
        }
    }
    if message.is_empty() {
        return Err("the field message is missing or empty");
    }
    if name.is_empty() {
        "anonymous".clone_into(&mut name);
    }
    Ok(Entry { name, message })
}

/// `+` is a space, `%41` a byte; anything else, a lone `%` included, stands for itself.
fn decoded(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => out.push(b' '),
            b'%' => match after {
                [high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    out.push(nibble(*high) << 4 | nibble(*low));
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

/// The first characters, without control characters (but for line ends) and outer spaces.
fn cut(text: &str, longest: usize) -> String {
    let kept: String = text.chars().filter(|c| !c.is_control() || *c == '\n').collect();
    kept.trim().chars().take(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded() {
        let entry = entry(b"x=1&name=Ada+L%C3%B6w&message=a%26b%3D1+%2B%0D%0Atwo").expect("an entry");
        assert_eq!(entry, Entry { name: "Ada Löw".into(), message: "a&b=1 +\ntwo".into() });
    }

    #[test]
    fn rubbish_is_kept_readable_or_refused() {
        assert_eq!(entry(b"message=100%").expect("an entry").message, "100%");
        assert_eq!(entry(b"message=%f&name=%%%").expect("an entry").message, "%f");
        assert_eq!(entry(b"message=%FF").expect("an entry").message, "\u{fffd}");
        assert_eq!(entry(b"message=a%00b").expect("an entry").message, "ab");
        for wrong in [&b""[..], b"&&==&", b"message=", b"message=+%0a+", b"\xff\xfe\x00", b"name=x"] {
            assert!(entry(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn long_fields_are_cut() {
        let body = format!("name={}&message={}", "ä".repeat(200), "x".repeat(5000));
        let entry = entry(body.as_bytes()).expect("an entry");
        assert_eq!((entry.name.chars().count(), entry.message.len()), (80, 1000));
    }
}
