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

/// Cuts a batch into parts whose lengths are powers of two up to 128, so that
/// only eight texts of each statement are ever prepared.
pub(super) fn parts<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = (1 << items.len().checked_ilog2()?).min(128);
        let (part, rest) = items.split_at(length);
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
    fn parts_are_powers_of_two_and_lose_nothing() {
        let items: Vec<_> = (0..300).collect();
        let lengths: Vec<_> = parts(&items).map(<[_]>::len).collect();
        assert_eq!(lengths, [128, 128, 32, 8, 4]);
        assert_eq!(parts(&items).flatten().count(), 300);
        assert_eq!(parts::<u8>(&[]).count(), 0);
    }
}
