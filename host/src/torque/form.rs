//! Form text as bytes: its pairs. Knows nothing of what the parameters mean.

use std::borrow::Cow;

/// A name and its value.
pub(super) type Pair<'q> = (Cow<'q, str>, Cow<'q, str>);

/// Gives `take` each decoded pair of a form. Escapes that are not UTF-8 are
/// replaced by U+FFFD; NUL is removed, as PostgreSQL cannot hold it.
pub(super) fn each_pair<'q>(form: &'q [u8], mut take: impl FnMut(Cow<'q, str>, Cow<'q, str>)) {
    if let Some(text) = plain(form) {
        each_plain_pair(text, |key, value| take(Cow::Borrowed(key), Cow::Borrowed(value)));
    } else {
        for segment in form.split(|&byte| byte == b'&') {
            if let Some((key, value)) = decoded(segment) {
                take(key, value);
            }
        }
    }
}

/// One way through the text for all marks: pairs are so short that looking for
/// each mark by itself costs more than what lies between.
fn each_plain_pair<'q>(text: &'q str, mut take: impl FnMut(&'q str, &'q str)) {
    let (mut start, mut equals) = (0, None);
    let mut end_pair = |start: usize, equals: Option<usize>, end: usize| match equals {
        Some(at) => take(&text[start..at], &text[at + 1..end]),
        None if start == end => {}
        None => take(&text[start..end], ""),
    };
    for mark in memchr::memchr2_iter(b'&', b'=', text.as_bytes()) {
        if text.as_bytes()[mark] == b'&' {
            end_pair(start, equals.take(), mark);
            start = mark + 1;
        } else {
            equals.get_or_insert(mark);
        }
    }
    end_pair(start, equals, text.len());
}

/// The text of a form in which nothing is escaped, as in nearly all of
/// telemetry: one look at the whole costs less than a decoder for each half of
/// each pair.
fn plain(form: &[u8]) -> Option<&str> {
    let escapes = memchr::memchr3(b'%', b'+', 0, form).is_some();
    if escapes || !form.is_ascii() { None } else { std::str::from_utf8(form).ok() }
}

/// The pair of any segment but an empty one, which has none.
pub(super) fn decoded(segment: &[u8]) -> Option<Pair<'_>> {
    if let Some(text) = plain(segment) {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        return (!text.is_empty()).then_some((key.into(), value.into()));
    }
    let (key, value) = form_urlencoded::parse(segment).next()?;
    Some((without_nul(key), without_nul(value)))
}

fn without_nul(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.as_bytes().contains(&0) { Cow::Owned(text.replace('\0', "")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_those_of_a_form_whether_escaped_or_not() {
        for form in [
            "",
            "&",
            "=",
            "a",
            "a=1&b=2",
            "a=1&",
            "&&a&=x&b==&=&c=a=b",
            "a%3D=1+2&%C2%B0=%B0",
            "\u{b0}=\u{b0}&k=1;2",
        ] {
            let usual: Vec<_> = form_urlencoded::parse(form.as_bytes()).collect();
            let mut ours = Vec::new();
            each_pair(form.as_bytes(), |key, value| ours.push((key, value)));
            assert_eq!(ours, usual, "{form}");
        }
    }
}
