//! Pieces of SQL text that depend on how many rows a statement takes.

use std::fmt::Write as _;

/// `($1,$2),($3,$4)…`: placeholders for `rows` rows of `columns` values.
pub(super) fn rows(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 5);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ",(" });
        for column in 0..columns {
            let comma = if column == 0 { "" } else { "," };
            // Writing to a String cannot fail.
            write!(text, "{comma}${}", row * columns + column + 1).ok();
        }
        text.push(')');
    }
    text
}

/// Cuts a batch into parts of at most 64 items, whose lengths have no more
/// than three significant bits: two parts are enough for each 64 items, and
/// only twenty texts of each statement are ever prepared, which is what a
/// connection remembers of five statements.
pub(super) fn parts<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = items.len().min(64);
        let insignificant = length.checked_ilog2()?.saturating_sub(2);
        let (part, rest) = items.split_at(length >> insignificant << insignificant);
        items = rest;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_through() {
        assert_eq!(rows(2, 3), "($1,$2,$3),($4,$5,$6)");
    }

    #[test]
    fn parts_are_few_have_few_lengths_and_lose_nothing() {
        let items: Vec<_> = (0..111).collect();
        let lengths: Vec<_> = parts(&items).map(<[_]>::len).collect();
        assert_eq!(lengths, [64, 40, 7]);
        assert_eq!(parts(&items).flatten().count(), 111);
        assert_eq!(parts::<u8>(&[]).count(), 0);
        let lengths: std::collections::BTreeSet<_> =
            (1..=111).flat_map(|length| parts(&items[..length]).map(<[_]>::len)).collect();
        assert_eq!(lengths.len(), 20);
    }
}
