//! What names a person or a device, and tokens, out of what is kept and told:
//! which texts of a request are looked through. How secrets are found in them is
//! `hiding`'s business.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::form::decoded;
use super::hiding::{Hiding, Known};
use super::track_log::Survey;
use super::{Content, Header, Reading, Refusal, Upload};

impl Upload {
    /// Hides whatever names somebody in what was sent. Of telemetry these are the
    /// texts of unknown PIDs.
    pub fn redact<F: Fn(&str) -> String>(&mut self, hiding: &Hiding<'_, F>) {
        self.header.redact(hiding);
        match &mut self.content {
            Content::Reading(reading) => reading.redact(hiding),
            Content::Profile(profile) => {
                profile.name.iter_mut().for_each(|name| hiding.hide(name));
                redact_all(&mut profile.values, hiding);
            }
            Content::DefaultUnits { units, conflicts } => {
                redact_all(units, hiding);
                for conflict in conflicts {
                    hiding.hide(&mut conflict.pid);
                    hiding.hide(&mut conflict.reported);
                }
            }
            Content::UserUnits(units) => redact_all(units, hiding),
            Content::Notice { text, class } => {
                hiding.hide(text);
                class.iter_mut().for_each(|class| hiding.hide(class));
            }
        }
    }
}

impl Reading {
    /// Hides whatever names somebody in the texts that the catalogue does not
    /// know.
    pub fn redact<F: Fn(&str) -> String>(&mut self, hiding: &Hiding<'_, F>) {
        for (name, text) in &mut self.unknown {
            hiding.hide(name);
            hiding.hide(text);
        }
    }
}

impl Survey {
    /// Hides whatever names somebody in the names of columns.
    pub fn redact<F: Fn(&str) -> String>(&mut self, hiding: &Hiding<'_, F>) {
        self.odd_units.iter_mut().for_each(|name| hiding.hide(name));
    }
}

impl Refusal {
    /// Hides whatever names somebody in what was sent.
    pub fn redact<F: Fn(&str) -> String>(&mut self, hiding: &Hiding<'_, F>) {
        self.header.redact(hiding);
    }
}

impl Header {
    fn redact<F: Fn(&str) -> String>(&mut self, hiding: &Hiding<'_, F>) {
        self.app_version.iter_mut().for_each(|version| hiding.hide(version));
    }
}

fn redact_all<F: Fn(&str) -> String>(texts: &mut BTreeMap<String, String>, hiding: &Hiding<'_, F>) {
    *texts = std::mem::take(texts)
        .into_iter()
        .map(|(mut name, mut text)| {
            hiding.hide(&mut name);
            hiding.hide(&mut text);
            (name, text)
        })
        .collect();
}

/// The form text with the value of every `id`, `eml` and `token` hidden, for
/// keeping a request that could not be stored.
///
/// What takes the place of an identity is made of the value as
/// [`decode`](super::decode) would take it: unescaped, trimmed. All else stays as
/// it was sent, made valid UTF-8 (lossily) and freed of NUL. A whole request
/// target (`/torque/upload?id=…`) may be given too.
pub fn redact<F: Fn(&str) -> String>(raw: &[u8], hiding: &Hiding<'_, F>) -> String {
    let mut kept = String::with_capacity(raw.len());
    for (index, segment) in raw.split(|&byte| byte == b'&').enumerate() {
        if index > 0 {
            kept.push('&');
        }
        match Personal::of(segment) {
            Some(personal) => {
                kept.push_str(&hiding.hidden(&text_of(personal.key)));
                kept.push('=');
                match personal.kind {
                    Kind::Identity => kept.push_str(&(hiding.replace)(personal.value.trim())),
                    Kind::Token => kept.push_str(super::hiding::TOKEN),
                }
            }
            None => kept.push_str(&hiding.hidden(&text_of(segment))),
        }
    }
    kept
}

impl Known {
    /// Adds what a form says of its sender. An upload has seventy segments, and few
    /// of them have a key that may be one of those: the others are not read.
    pub fn add_form(&mut self, raw: &[u8]) {
        let escaped = memchr::memchr(b'%', raw).is_some();
        let Some((_, behind)) = raw.split_first() else { return };
        for (number, (before, marks)) in raw.chunks(BLOCK).zip(behind.chunks(BLOCK)).enumerate() {
            if escaped || has_end_of_personal(before, marks) {
                let start = number * BLOCK + 1;
                memchr::memchr_iter(b'=', marks).for_each(|equals| self.add_pair(raw, start + equals));
            }
        }
    }

    /// Adds what the pair around this equals sign says.
    fn add_pair(&mut self, raw: &[u8], equals: usize) {
        if !may_be_personal(&raw[..equals]) {
            return;
        }
        let start = memchr::memrchr(b'&', &raw[..equals]).map_or(0, |before| before + 1);
        // A pair is read once, by its first equals sign.
        if memchr::memchr(b'=', &raw[start..equals]).is_some() {
            return;
        }
        let end = memchr::memchr(b'&', &raw[equals..]).map_or(raw.len(), |length| equals + length);
        match Personal::of(&raw[start..end]) {
            Some(Personal { kind: Kind::Identity, value, .. }) => self.add_identity(&value),
            Some(Personal { kind: Kind::Token, value, .. }) => self.add_token(&value),
            None => {}
        }
    }
}

/// Bytes of a form that are looked at together.
const BLOCK: usize = 64;

/// Whether an equals sign is among these bytes, and before it what may be the last
/// letter of a key that says who drives, or lets in, or what is no letter.
fn has_end_of_personal(before: &[u8], marks: &[u8]) -> bool {
    let is_end = |byte: u8| {
        let letter = byte | 0x20;
        (letter == b'd') | (letter == b'l') | (letter == b'n') | is_none(byte)
    };
    // Without a branch, so that it takes many bytes at once.
    before.iter().zip(marks).fold(false, |found, (last, mark)| found | ((*mark == b'=') & is_end(*last)))
}

/// Whether a form up to here may end in such a key: by its last two letters,
/// unless one is escaped, or is none.
fn may_be_personal(before: &[u8]) -> bool {
    let Some(&[first, last]) = before.last_chunk() else { return false };
    let ends_so = matches!([first | 0x20, last | 0x20], [b'i', b'd'] | [b'm', b'l'] | [b'e', b'n']);
    let is_escaped = |from_end| before.len().checked_sub(from_end).is_some_and(|at| before[at] == b'%');
    ends_so || is_none(first) || is_none(last) || is_escaped(3) || is_escaped(4)
}

/// Whether a reader of forms may pass it over.
fn is_none(byte: u8) -> bool {
    (byte <= b' ') | (byte == b'+') | (byte >= 0x80)
}

/// A segment of a form that says who drives, or lets in.
struct Personal<'q> {
    /// As it was sent.
    key: &'q [u8],
    kind: Kind,
    /// As a reader of forms takes it.
    value: Cow<'q, str>,
}

enum Kind {
    Identity,
    Token,
}

impl<'q> Personal<'q> {
    fn of(segment: &'q [u8]) -> Option<Self> {
        let (name, value) = decoded(segment)?;
        let kind = Self::kind_of(&name)?;
        let key = &segment[..memchr::memchr(b'=', segment)?];
        (!value.trim().is_empty()).then_some(Self { key, kind, value })
    }

    /// What the value of that key says.
    fn kind_of(key: &str) -> Option<Kind> {
        // A whole request target may stand before the first name.
        let name = key.rsplit('?').next().unwrap_or(key).trim();
        let is = |personal: &str| name.eq_ignore_ascii_case(personal);
        match name.len() {
            2 | 3 | 9 if is("id") || is("eml") || is("device_id") => Some(Kind::Identity),
            5 if is("token") => Some(Kind::Token),
            _ => None,
        }
    }
}

fn text_of(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).replace('\0', "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::torque::Shapes;
    use crate::torque::hiding::by_shape;

    fn masked(raw: &[u8]) -> String {
        redact(raw, &by_shape(|value: &str| format!("<{}>", value.len())))
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
        let see = |value: &str| {
            seen.borrow_mut().push(value.to_owned());
            String::new()
        };
        redact(b"eml=+driver%40example.com%00", &by_shape(see));
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
            by_shape(|value: &str| format!("<{}>", value.len())).hide(&mut in_place);
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
            assert_eq!(by_shape(|_: &str| "hidden".to_owned()).hidden(text), text);
            let mut in_place = text.to_owned();
            by_shape(|_: &str| "hidden".to_owned()).hide(&mut in_place);
            assert_eq!(in_place, text);
        }
        assert_eq!(by_shape(|_: &str| "hidden".to_owned()).hidden("1234567890123456"), "hidden");
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

    /// What keys are made of that are personal, or nearly.
    const PIECES: [&str; 24] = [
        "id",
        "ID",
        "eml",
        "Token",
        "device_id",
        "i",
        "d",
        "D",
        "k",
        "kff1",
        "%69",
        "%44",
        "%6C",
        "%4e",
        "+",
        "%20",
        " ",
        "%00",
        "\0",
        "?",
        "=",
        "&",
        "\u{a0}",
        "%",
    ];

    proptest! {
        #[test]
        fn no_key_that_says_who_drives_is_passed_over(
            pieces in proptest::collection::vec(select(PIECES.to_vec()), 1..5), padding in 0_usize..30,
        ) {
            let form = format!("{}{}=00deadbeef", "k1=2&".repeat(padding), pieces.concat());
            let of_segments = form.as_bytes().split(|&byte| byte == b'&').filter_map(Personal::of);
            let mut known = Known::default();
            known.add_form(form.as_bytes());
            for personal in of_segments.filter(|personal| personal.value.contains("00deadbeef")) {
                let hiding = Hiding { known: &known, shapes: Shapes::None, replace: |_: &str| String::new() };
                prop_assert_ne!(hiding.hidden(&personal.value), personal.value.as_ref(), "{:?}", form);
            }
        }
    }

    #[test]
    fn a_token_in_a_parameter_is_hidden_and_what_a_form_says_of_its_sender_is_known() {
        assert_eq!(
            masked(b"token=s3cret&Token=%73&kc=900&tokens=5"),
            "token=[token]&Token=[token]&kc=900&tokens=5"
        );
        let mut known = Known::default();
        known.add_form(b"token=s3cret&id=+Annas+Pixel+&kc=900&e%6dl=&v=9");
        for form in [
            "?x=1&/up?I%44=00deadbeef",
            "kd=5&id+=00deadbeef",
            "%20eml%20=00deadbeef",
            "a=id=&DEVICE_id=00deadbeef",
        ] {
            let mut known = Known::default();
            known.add_form(form.as_bytes());
            let hiding =
                Hiding { known: &known, shapes: Shapes::None, replace: |_: &str| "<who>".to_owned() };
            assert_eq!(hiding.hidden("by 00DEADBEEF"), "by <who>", "{form}");
        }
        let mut repeating = Known::default();
        repeating.add_form("id=".repeat(1000).as_bytes());
        assert_eq!(format!("{repeating:?}"), "Known(1 hidden)", "a pair is read once");
        let mut of_nothing = Known::default();
        of_nothing.add_token("\0\0\0\0\0\0");
        of_nothing.add_token("ab\0\0\0\0");
        assert_eq!(format!("{of_nothing:?}"), "Known(0 hidden)", "NULs are nothing");
        let hiding = Hiding { known: &known, shapes: Shapes::All, replace: |_: &str| "<who>".to_owned() };
        assert_eq!(
            redact(b"notice=by%20annas%20pixel&x=S3CRET&v=9", &hiding),
            "notice=by <who>&x=[token]&v=9"
        );
    }
}
