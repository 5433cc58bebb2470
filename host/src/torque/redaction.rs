//! What names a person or a device, out of what is kept and told: their keyed
//! hash takes its place. Whose key that is, is not known here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use super::form::decoded;
use super::track_log::Survey;
use super::{Content, Header, Reading, Refusal, Upload};

impl Upload {
    /// Replaces whatever names somebody in what was sent: identities by what
    /// `replace` makes of them. Of telemetry these are the texts of unknown PIDs.
    pub fn redact(&mut self, replace: impl Fn(&str) -> String) {
        self.header.redact(&replace);
        match &mut self.content {
            Content::Reading(reading) => reading.redact(&replace),
            Content::Profile(profile) => {
                profile.name.iter_mut().for_each(|name| redact_in_place(name, &replace));
                redact_all(&mut profile.values, &replace);
            }
            Content::DefaultUnits { units, conflicts } => {
                redact_all(units, &replace);
                for conflict in conflicts {
                    redact_in_place(&mut conflict.pid, &replace);
                    redact_in_place(&mut conflict.reported, &replace);
                }
            }
            Content::UserUnits(units) => redact_all(units, &replace),
            Content::Notice { text, class } => {
                redact_in_place(text, &replace);
                class.iter_mut().for_each(|class| redact_in_place(class, &replace));
            }
        }
    }
}

impl Reading {
    /// Replaces whatever names somebody in the texts that the catalogue does
    /// not know.
    pub fn redact(&mut self, replace: impl Fn(&str) -> String) {
        for (name, text) in &mut self.unknown {
            redact_in_place(name, &replace);
            redact_in_place(text, &replace);
        }
    }
}

impl Survey {
    /// Replaces whatever names somebody in the names of columns.
    pub fn redact(&mut self, replace: impl Fn(&str) -> String) {
        self.odd_units.iter_mut().for_each(|name| redact_in_place(name, &replace));
    }
}

impl Refusal {
    /// Replaces whatever names somebody in what was sent.
    pub fn redact(&mut self, replace: impl Fn(&str) -> String) {
        self.header.redact(replace);
    }
}

impl Header {
    fn redact(&mut self, replace: impl Fn(&str) -> String) {
        self.app_version.iter_mut().for_each(|version| redact_in_place(version, &replace));
    }
}

fn redact_all(texts: &mut BTreeMap<String, String>, replace: &impl Fn(&str) -> String) {
    *texts = std::mem::take(texts)
        .into_iter()
        .map(|(mut name, mut text)| {
            redact_in_place(&mut name, replace);
            redact_in_place(&mut text, replace);
            (name, text)
        })
        .collect();
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
                kept.push_str(&redact_text(&text_of(key), &replace));
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
/// name, a notice, or a request that is no form.
fn redact_text(text: &str, replace: impl Fn(&str) -> String) -> String {
    let mut kept = String::with_capacity(text.len());
    let (mut word, mut at) = (0, 0);
    while let Some(character) = text[at..].chars().next() {
        let next = match delimiter(&text[at..], character) {
            0 => at + character.len_utf8(),
            length => {
                redact_word(&text[word..at], &replace, &mut kept);
                kept.push_str(&text[at..at + length]);
                word = at + length;
                word
            }
        };
        at = next;
    }
    redact_word(&text[word..], &replace, &mut kept);
    kept
}

/// Replaces a text by [`redact_text`] of it. Most texts are short and name
/// nobody, and cost no more than a look.
fn redact_in_place(text: &mut String, replace: impl Fn(&str) -> String) {
    let mail = memchr::memchr2(b'@', b'%', text.as_bytes()).is_some();
    if mail || ids(text).next().is_some() {
        *text = redact_text(text, replace);
    }
}

/// How much of the beginning of a text stands between two words: bytes.
fn delimiter(text: &str, first: char) -> usize {
    const ESCAPED: [&str; 7] = ["%26", "%3D", "%3d", "%3B", "%3b", "%22", "%20"];
    if first == '%' {
        return if ESCAPED.iter().any(|escape| text.starts_with(escape)) { "%26".len() } else { 0 };
    }
    let delimits = first.is_whitespace() || first.is_control() || "&=;,\"'<>(){}[]".contains(first);
    if delimits { first.len_utf8() } else { 0 }
}

fn redact_word(word: &str, replace: &impl Fn(&str) -> String, kept: &mut String) {
    if word.contains('@') || word.contains("%40") {
        kept.push_str(&replace(word));
        return;
    }
    let mut copied = 0;
    for id in ids(word) {
        kept.push_str(&word[copied..id.start]);
        kept.push_str(&replace(&word[id.clone()]));
        copied = id.end;
    }
    kept.push_str(&word[copied..]);
}

/// The shortest run of hexadecimal digits that is taken for a device's id.
const SHORTEST_ID: usize = 16;

/// Where device ids are, whatever stands around them.
fn ids(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        // What is too short for an id is not looked through.
        while at + SHORTEST_ID <= bytes.len() {
            let start = at;
            if is_escape(&bytes[at..]) {
                at += "%3A".len();
                continue;
            }
            at += bytes[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            if at - start >= SHORTEST_ID && !is_fraction(&bytes[..start], &bytes[start..at]) {
                return Some(start..at);
            }
            at = at.max(start + 1);
        }
        None
    })
}

/// Whether a text begins with an escaped character, whose digits are no id's.
fn is_escape(text: &[u8]) -> bool {
    matches!(text, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// Whether a run of digits is what a number has behind its point: phones send
/// up to seventeen digits there.
fn is_fraction(before: &[u8], run: &[u8]) -> bool {
    let mut parts = run.splitn(2, |byte| byte.eq_ignore_ascii_case(&b'e'));
    before.ends_with(b".") && parts.all(|part| part.iter().all(u8::is_ascii_digit))
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
        assert_eq!(masked("{\"eml\":\"°a@b.c°\"}"), "{\"eml\":\"<9>\"}");
    }

    #[test]
    fn a_device_id_is_found_whatever_stands_around_it() {
        let id = "00c0ffeedeadbeefdeadbeef00c0ffee";
        for (before, after) in [
            ("device:", ""),
            ("id-", "-x"),
            ("eml%3A", "%3A"),
            ("notice=Trip+by+", "+and+on"),
            ("°", "°"),
            ("1.5x", ""),
            ("1.", ""),
        ] {
            let text = format!("{before}{id}{after}");
            assert_eq!(masked(text.as_bytes()), format!("{before}<32>{after}"), "{text}");
            let mut in_place = text.clone();
            redact_in_place(&mut in_place, |value| format!("<{}>", value.len()));
            assert_eq!(in_place, format!("{before}<32>{after}"), "{text}");
        }
        let two = format!("{id},{id}/{id}");
        assert_eq!(masked(two.as_bytes()), "<32>,<32>/<32>");
    }

    #[test]
    fn numbers_and_short_words_are_no_ids() {
        for text in
            ["0.10000000149011612", "-7.0700000000000001E-4", "1.23456789012345678e10", "deadbeefdeadbee", ""]
        {
            assert_eq!(redact_text(text, |_| "hidden".to_owned()), text);
            let mut in_place = text.to_owned();
            redact_in_place(&mut in_place, |_| "hidden".to_owned());
            assert_eq!(in_place, text);
        }
        assert_eq!(redact_text("1234567890123456", |_| "hidden".to_owned()), "hidden");
    }

    #[test]
    fn a_request_target_is_redacted_too() {
        let kept = masked(b"/torque/upload?id=secret&kc=1");
        assert_eq!(kept, "/torque/upload?id=<6>&kc=1");
        assert_eq!(masked(b"a@b.c?id=secret&kc=1"), "<8>=<6>&kc=1");
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
