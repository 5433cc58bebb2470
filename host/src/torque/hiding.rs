//! Finds in a text what names a person or a device, and tokens: by what a
//! request is known to say of its sender, and by its shape. Which texts are
//! looked through, and what takes the place of an identity, is not known here.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// What takes the place of a token.
pub(super) const TOKEN: &str = "[token]";
/// What is shorter is in too many words to be looked for in them: bytes.
const SHORTEST_KNOWN: usize = 6;
/// How often a text may be escaped and is looked through all the same.
const LEVELS: u32 = 4;

/// What a request is known to say of its sender: nothing else of it may repeat
/// that. It has no way to print itself.
#[derive(Clone, Default)]
pub struct Known {
    /// What every request has in common.
    tokens: Arc<Secrets>,
    own: Secrets,
}

#[derive(Clone, Copy)]
enum Secret<'k> {
    Identity(&'k str),
    Token(&'k str),
}

/// Secrets in one text, each with a letter of its kind before it and a NUL, which
/// none has, behind it: every request has two or three.
#[derive(Clone, Default)]
struct Secrets(String);

impl Secrets {
    /// As much as most requests need, so that it grows once.
    const ROOM: usize = 96;

    fn add(&mut self, secret: Secret<'_>) {
        if self.0.is_empty() {
            self.0.reserve(Self::ROOM);
        }
        self.0.push(match secret {
            Secret::Identity(_) => 'i',
            Secret::Token(_) => 't',
        });
        self.0.push_str(secret.text());
        self.0.push('\0');
    }

    fn iter(&self) -> impl Iterator<Item = Secret<'_>> {
        self.0.split_terminator('\0').map(|secret| match secret.split_at(1) {
            ("i", text) => Secret::Identity(text),
            (_, text) => Secret::Token(text),
        })
    }
}

/// What is found by its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shapes {
    /// Nothing: only what is known.
    None,
    /// E-mails. An id may be one of something else, such as of a request.
    Mail,
    /// E-mails and ids of devices, but nothing as long as a SHA-256 digest.
    AllButDigests,
    /// E-mails and ids of devices.
    All,
}

impl Known {
    /// Tokens that no request may repeat, whoever sends it.
    pub fn tokens<'t>(tokens: impl Iterator<Item = &'t str>) -> Self {
        let mut known = Self::default();
        tokens.for_each(|token| known.add_token(token));
        Self { tokens: Arc::new(known.own), own: Secrets::default() }
    }

    /// Adds the id of a device, or an e-mail.
    pub fn add_identity(&mut self, text: &str) {
        self.add(text, |text| Secret::Identity(text));
    }

    /// Adds a token, whether it is the right one or not.
    pub fn add_token(&mut self, text: &str) {
        self.add(text, |text| Secret::Token(text));
    }

    fn add(&mut self, text: &str, secret: for<'k> fn(&'k str) -> Secret<'k>) {
        // Texts have no NUL where they are kept.
        let plain = if text.contains('\0') { Cow::Owned(text.replace('\0', "")) } else { text.into() };
        let text = plain.trim();
        if text.len() >= SHORTEST_KNOWN && !self.all().any(|other| other.text() == text) {
            self.own.add(secret(text));
        }
    }

    fn all(&self) -> impl Iterator<Item = Secret<'_>> {
        self.tokens.iter().chain(self.own.iter())
    }

    /// The unescaped text, and how often it may be unescaped again, where more of
    /// them is in that than in the text itself.
    fn more_in(&self, text: &str, levels: u32) -> Option<(String, u32)> {
        let mut unescaped = unescaped(text).filter(|_| levels > 0)?;
        let (plain, mut left) = (self.count(text), levels - 1);
        while self.count(&unescaped) <= plain {
            left = left.checked_sub(1)?;
            unescaped = self::unescaped(&unescaped)?;
        }
        Some((unescaped, left))
    }

    fn count(&self, text: &str) -> usize {
        let (mut rest, mut count) = (text, 0);
        while let Some((place, _)) = self.find(rest) {
            rest = &rest[place.end..];
            count += 1;
        }
        count
    }

    /// Where the first of them is in a text, in whatever case.
    fn find(&self, text: &str) -> Option<(Range<usize>, Secret<'_>)> {
        let fitting = self.all().filter(|secret| secret.text().len() <= text.len());
        let places = fitting.filter_map(|secret| Some((place_of(secret.text(), text)?, secret)));
        // Of those that begin at one place the longest.
        places.min_by_key(|(place, _)| (place.start, usize::MAX - place.end))
    }
}

/// Says that there are some, and not which.
impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Known({} hidden)", self.all().count())
    }
}

impl<'k> Secret<'k> {
    fn text(self) -> &'k str {
        let (Self::Identity(text) | Self::Token(text)) = self;
        text
    }
}

fn place_of(secret: &str, text: &str) -> Option<Range<usize>> {
    let (secret, text) = (secret.as_bytes(), text.as_bytes());
    let (low, high) = (secret[0].to_ascii_lowercase(), secret[0].to_ascii_uppercase());
    memchr::memchr2_iter(low, high, text)
        .map(|start| start..start + secret.len())
        .find(|place| text.get(place.clone()).is_some_and(|part| part.eq_ignore_ascii_case(secret)))
}

/// Hides what is secret in texts: tokens, and identities, in whose place comes
/// what `replace` makes of them.
pub struct Hiding<'a, F> {
    /// What is found wherever it stands.
    pub known: &'a Known,
    /// What is found by its shape.
    pub shapes: Shapes,
    /// What takes the place of an identity.
    pub replace: F,
}

impl<F: Fn(&str) -> String> Hiding<'_, F> {
    /// Hides it in place. Most texts are short and name nobody, and cost no more
    /// than a look.
    pub fn hide(&self, text: &mut String) {
        let escaped = memchr::memchr2(b'@', b'%', text.as_bytes()).is_some();
        if escaped || self.ids(text).next().is_some() || self.known.find(text).is_some() {
            *text = self.hidden(text);
        }
    }

    /// The text with everything hidden, wherever it stands: in a name, a notice,
    /// or a request that is no form. A word that is escaped, and hides more when
    /// it is not, is kept as it is then.
    pub fn hidden(&self, text: &str) -> String {
        let mut kept = String::with_capacity(text.len());
        self.hide_into(text, LEVELS, &mut kept);
        kept
    }

    /// Returns how many bytes of the text were hidden.
    fn hide_into(&self, text: &str, levels: u32, kept: &mut String) -> usize {
        // What is known may have several words, and so is looked for first.
        if let Some((unescaped, levels)) = self.known.more_in(text, levels) {
            return self.hide_into(&unescaped, levels, kept);
        }
        let (mut rest, mut hidden) = (text, 0);
        while let Some((place, secret)) = self.known.find(rest) {
            hidden += place.len() + self.hide_shapes(&rest[..place.start], levels, kept);
            match secret {
                Secret::Identity(identity) => kept.push_str(&(self.replace)(identity)),
                Secret::Token(_) => kept.push_str(TOKEN),
            }
            rest = &rest[place.end..];
        }
        hidden + self.hide_shapes(rest, levels, kept)
    }

    fn hide_shapes(&self, text: &str, levels: u32, kept: &mut String) -> usize {
        if self.shapes == Shapes::None {
            kept.push_str(text);
            return 0;
        }
        let (mut word, mut at, mut hidden) = (0, 0, 0);
        while let Some(character) = text[at..].chars().next() {
            let next = match delimiter(&text[at..], character) {
                0 => at + character.len_utf8(),
                length => {
                    hidden += self.hide_word(&text[word..at], levels, kept);
                    kept.push_str(&text[at..at + length]);
                    word = at + length;
                    word
                }
            };
            at = next;
        }
        hidden + self.hide_word(&text[word..], levels, kept)
    }

    fn hide_word(&self, word: &str, levels: u32, kept: &mut String) -> usize {
        if ["@", "%40"].iter().any(|at| word.find(at).is_some_and(|place| place > 0)) {
            kept.push_str(&(self.replace)(word));
            return word.len();
        }
        let (before, mut copied, mut hidden) = (kept.len(), 0, 0);
        for id in self.ids(word) {
            kept.push_str(&word[copied..id.start]);
            kept.push_str(&(self.replace)(&word[id.clone()]));
            hidden += id.len();
            copied = id.end;
        }
        kept.push_str(&word[copied..]);
        if let Some(unescaped) = unescaped(word).filter(|_| levels > 0) {
            let mut other = String::new();
            let more = self.hide_into(&unescaped, levels - 1, &mut other);
            if more > hidden {
                kept.truncate(before);
                kept.push_str(&other);
                return more;
            }
        }
        hidden
    }

    fn ids<'t>(&self, text: &'t str) -> impl Iterator<Item = Range<usize>> + use<'t, F> {
        let (text, digests) = match self.shapes {
            Shapes::None | Shapes::Mail => ("", true),
            Shapes::AllButDigests => (text, false),
            Shapes::All => (text, true),
        };
        ids(text).filter(move |id| digests || id.len() != DIGEST)
    }
}

/// What an escaped text says; `None` for one that is not escaped.
fn unescaped(text: &str) -> Option<String> {
    memchr::memchr(b'%', text.as_bytes())?;
    let unescaped = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    (unescaped != text).then(|| unescaped.replace('\0', ""))
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

/// Hexadecimal digits of a SHA-256 digest.
const DIGEST: usize = 64;
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

/// Hides what has the shape of a secret, for tests: nothing is known.
#[cfg(test)]
pub(crate) fn by_shape<F: Fn(&str) -> String>(replace: F) -> Hiding<'static, F> {
    static NOTHING: std::sync::LazyLock<Known> = std::sync::LazyLock::new(Known::default);
    Hiding { known: &NOTHING, shapes: Shapes::All, replace }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(shapes: Shapes, text: &str) -> String {
        let mut known = Known::default();
        known.add_identity("Annas Pixel 6");
        known.add_identity("anna");
        known.add_token("s3cret-token");
        Hiding { known: &known, shapes, replace: |identity: &str| format!("<{}>", identity.len()) }
            .hidden(text)
    }

    #[test]
    fn what_is_known_is_found_in_any_case_however_often_it_is_escaped() {
        for shapes in [Shapes::None, Shapes::Mail, Shapes::All] {
            let hidden = |text: &str| hidden(shapes, text);
            assert_eq!(hidden("by ANNAS pixel 6, s3cret-TOKEN; anna"), "by <13>, [token]; anna");
            assert_eq!(hidden("x=Annas%20Pixel%206&y"), "x=<13>&y");
            assert_eq!(hidden("%2573%33cret-token!"), "[token]!");
            assert_eq!(hidden("100% s3cret-token%"), "100% [token]%");
            assert_eq!(hidden("s3cret-token=s3cret%2Dtoken"), "[token]=[token]");
        }
    }

    #[test]
    fn what_is_escaped_is_found_by_its_shape_and_kept_readable() {
        let hidden = |text: &str| hidden(Shapes::All, text);
        let escaped: String = "00c0ffeedeadbeef".bytes().map(|byte| format!("%{byte:02x}")).collect();
        assert_eq!(hidden(&escaped), "<16>");
        assert_eq!(hidden(&escaped.replace('%', "%25")), "<16>");
        assert_eq!(hidden("00c0ffee%64eadbeef00c0ffee"), "<24>", "and no half of it");
        assert_eq!(hidden("note=driver%2540example.com&kc=1%2525"), "note=<20>&kc=1%2525");
        assert_eq!(hidden("kff1001=1%2E5&100%"), "kff1001=1%2E5&100%");
        assert_eq!(hidden("curl --data-binary @FILE"), "curl --data-binary @FILE", "nobody's mail");
    }

    #[test]
    fn an_id_may_be_of_a_request() {
        let text = "00c0ffeedeadbeef00c0ffeedeadbeef of a@b.c";
        assert_eq!(hidden(Shapes::Mail, text), "00c0ffeedeadbeef00c0ffeedeadbeef of <5>");
        assert_eq!(hidden(Shapes::None, text), text);
    }

    #[test]
    fn a_digest_is_no_id_where_digests_are_told_of() {
        let digest = "00c0ffeedeadbeef".repeat(4);
        assert_eq!(hidden(Shapes::All, &digest), "<64>");
        let text = format!("{digest} is not {}", &digest[..32]);
        assert_eq!(hidden(Shapes::AllButDigests, &text), format!("{digest} is not <32>"));
    }

    #[test]
    fn what_is_known_does_not_print_itself() {
        let mut known = Known::default();
        known.add_token("s3cret-token");
        assert_eq!(format!("{known:?}"), "Known(1 hidden)");
    }
}
