//! Form text as bytes: its pairs, and the copy of it that may be kept.
//! Knows nothing of what the parameters mean, but for the two that name a person.

use std::borrow::Cow;

/// A name and its value.
type Pair<'q> = (Cow<'q, str>, Cow<'q, str>);

/// Gives `take` each decoded pair of a form. Escapes that are not UTF-8 are
/// replaced by U+FFFD; NUL is removed, as PostgreSQL cannot hold it.
pub(super) fn each_pair<'q>(form: &'q [u8], mut take: impl FnMut(Cow<'q, str>, Cow<'q, str>)) {
    if let Some(text) = plain(form) {
        for segment in text.split('&').filter(|segment| !segment.is_empty()) {
            let (key, value) = segment.split_once('=').unwrap_or((segment, ""));
            take(Cow::Borrowed(key), Cow::Borrowed(value));
        }
    } else {
        for segment in form.split(|&byte| byte == b'&') {
            if let Some((key, value)) = decoded(segment) {
                take(key, value);
            }
        }
    }
}

/// The text of a form in which nothing is escaped, as in nearly all of
/// telemetry: one look at the whole costs less than a decoder for each half of
/// each pair.
fn plain(form: &[u8]) -> Option<&str> {
    let escapes = memchr::memchr3(b'%', b'+', 0, form).is_some();
    if escapes || !form.is_ascii() { None } else { std::str::from_utf8(form).ok() }
}

/// The pair of any segment but an empty one, which has none.
fn decoded(segment: &[u8]) -> Option<Pair<'_>> {
    let (key, value) = form_urlencoded::parse(segment).next()?;
    Some((without_nul(key), without_nul(value)))
}

fn without_nul(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.as_bytes().contains(&0) { Cow::Owned(text.replace('\0', "")) } else { text }
}

/// The form text with the value of every `id` and `eml` replaced by what
/// `replace` makes of it, for keeping a request that could not be stored.
///
/// `replace` is given the value as [`decode`](super::decode) would take it:
/// unescaped, trimmed. All else stays as it was sent, made valid UTF-8 (lossily)
/// and freed of NUL. A whole request target (`/torque/upload?id=…`) may be given
/// too.
pub fn redact(raw: &[u8], replace: impl Fn(&str) -> String) -> String {
    let mut kept = String::with_capacity(raw.len());
    for (index, segment) in raw.split(|&byte| byte == b'&').enumerate() {
        if index > 0 {
            kept.push('&');
        }
        match personal_value(segment) {
            Some((key, value)) => {
                kept.push_str(&text_of(key));
                kept.push('=');
                kept.push_str(&replace(value.trim()));
            }
            None => kept.push_str(&redact_text(&text_of(segment), &replace)),
        }
    }
    kept
}

/// The raw key and the decoded value of a segment that says who drives.
fn personal_value(segment: &[u8]) -> Option<(&[u8], Cow<'_, str>)> {
    let equals = segment.iter().position(|&byte| byte == b'=')?;
    let key = &segment[..equals];
    let name = key.rsplit(|&byte| byte == b'?').next().unwrap_or(key);
    let (name, _) = decoded(name)?;
    let name = name.trim();
    if !name.eq_ignore_ascii_case("id") && !name.eq_ignore_ascii_case("eml") {
        return None;
    }
    let (_, value) = decoded(&segment[equals..])?;
    (!value.trim().is_empty()).then_some((key, value))
}

/// Replaces what looks like an e-mail or a device id wherever it stands: in a
/// notice, or in a request that is no form.
pub fn redact_text(text: &str, replace: impl Fn(&str) -> String) -> String {
    let delimits = |c: char| c.is_whitespace() || c.is_control() || "&=;,\"'<>(){}[]".contains(c);
    let escaped_delimits = ["%26", "%3D", "%3d", "%3B", "%3b", "%22", "%20"];
    let spaced = escaped_delimits
        .iter()
        .fold(text.to_owned(), |text, escape| text.replace(escape, &format!(" {escape} ")));
    let mut kept = String::with_capacity(spaced.len());
    for word in spaced.split_inclusive(delimits) {
        let bare = word.trim_end_matches(delimits);
        let mail = bare.contains('@') || bare.contains("%40");
        let device = bare.len() >= 16 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
        if mail || device {
            kept.push_str(&replace(bare));
            kept.push_str(&word[bare.len()..]);
        } else {
            kept.push_str(word);
        }
    }
    escaped_delimits.iter().fold(kept, |text, escape| text.replace(&format!(" {escape} "), escape))
}

fn text_of(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).replace('\0', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(raw: &[u8]) -> String {
        redact(raw, |value| format!("<{}>", value.len()))
    }

    #[test]
    fn pairs_are_those_of_a_form_whether_escaped_or_not() {
        for form in ["a=1&b=2", "&&a&=x&b==&=&c=a=b", "a%3D=1+2&%C2%B0=%B0", "\u{b0}=\u{b0}&k=1;2"] {
            let usual: Vec<_> = form_urlencoded::parse(form.as_bytes()).collect();
            let mut ours = Vec::new();
            each_pair(form.as_bytes(), |key, value| ours.push((key, value)));
            assert_eq!(ours, usual, "{form}");
        }
    }

    #[test]
    fn id_and_email_are_replaced_and_all_else_stays_as_sent() {
        let kept = masked(b"eml=a@b.c&v=8&id=0123&kff1001=1%2E5&notice=id%3D4");
        assert_eq!(kept, "eml=<5>&v=8&id=<4>&kff1001=1%2E5&notice=id%3D4");
    }

    #[test]
    fn any_case_any_escaping_and_every_repetition_is_found() {
        let kept = masked(b"ID=ab&%69%64=abc&Eml=a%40b.c&+id+=x&i%00d=y&id=a=b");
        assert_eq!(kept, "ID=<2>&%69%64=<3>&Eml=<5>&+id+=<1>&i%00d=<1>&id=<3>");
    }

    #[test]
    fn the_replacement_is_asked_for_the_trimmed_and_decoded_value() {
        let seen = std::cell::RefCell::new(Vec::new());
        redact(b"eml=+driver%40example.com%00", |value| {
            seen.borrow_mut().push(value.to_owned());
            String::new()
        });
        assert_eq!(seen.into_inner(), ["driver@example.com"]);
    }

    #[test]
    fn who_drives_is_found_by_its_shape_where_the_request_is_no_form() {
        let masked = |raw: &str| masked(raw.as_bytes());
        let json = r#"{"eml":"a@b.example","id":"00112233445566778899aabbccddeeff"}"#;
        assert_eq!(masked(json), r#"{"eml":"<11>","id":"<32>"}"#);
        assert_eq!(masked("eml%3Da%40b.c%26id%3Ddeadbeefdeadbeef"), "eml%3D<7>%26id%3D<16>");
        assert_eq!(masked("v=8;eml=a@b.c;kc=1"), "v=8;eml=<5>;kc=1");
        assert_eq!(masked("notice=mail+a@b.c"), "notice=<10>");
    }

    #[test]
    fn a_request_target_is_redacted_too() {
        let kept = masked(b"/torque/upload?id=secret&kc=1");
        assert_eq!(kept, "/torque/upload?id=<6>&kc=1");
    }

    #[test]
    fn blank_values_and_words_that_only_end_in_id_stay() {
        assert_eq!(masked(b"id=&grid=5&id"), "id=&grid=5&id");
    }

    #[test]
    fn broken_utf8_is_replaced_and_nul_is_removed() {
        assert_eq!(masked(b"notice=\xb0C\0&id=\xff"), "notice=\u{fffd}C&id=<3>");
    }
}
