//! Pieces of SQL text that depend on how many rows a statement takes.

use std::fmt::Write as _;

use super::open::Engine;

/// `($1,$2),($3,$4)…`: placeholders for `rows` rows of `columns` values, which
/// are all that the statement has. SQLite is given `?`: it looks each numbered
/// one up by walking through those before it.
pub(super) fn rows(engine: Engine, rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 5);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ",(" });
        for column in 0..columns {
            let comma = if column == 0 { "" } else { "," };
            match engine {
                Engine::Sqlite => write!(text, "{comma}?"),
                Engine::Postgres => write!(text, "{comma}${}", row * columns + column + 1),
            }
            .expect("a String takes every text");
        }
        text.push(')');
    }
    text
}

/// Items that one statement takes.
const LARGEST: usize = 64;

/// Cuts a batch into chunks for statements that do not mind a row that comes
/// again: each chunk with the number of rows of its statement, which is
/// rounded up to three significant bits, so that few texts are ever prepared.
pub(super) fn chunks<T>(items: &[T]) -> impl Iterator<Item = (&[T], usize)> {
    items.chunks(LARGEST).map(|chunk| {
        let bits = chunk.len().ilog2().saturating_sub(2);
        (chunk, chunk.len().next_multiple_of(1 << bits))
    })
}

/// The items of a chunk, the last one again up to `rows`.
pub(super) fn padded<T>(chunk: &[T], rows: usize) -> impl Iterator<Item = &T> {
    let last = chunk.last().into_iter().cycle();
    chunk.iter().chain(last).take(rows)
}

/// Cuts a batch into parts of at most 64 items, whose lengths have no more
/// than three significant bits: two parts are enough for each 64 items, and
/// only twenty texts of each statement are ever prepared, which is what a
/// connection remembers of five statements.
pub(super) fn parts<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = items.len().min(LARGEST);
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
        assert_eq!(rows(Engine::Postgres, 2, 3), "($1,$2,$3),($4,$5,$6)");
        assert_eq!(rows(Engine::Sqlite, 2, 3), "(?,?,?),(?,?,?)");
    }

    #[test]
    fn chunks_are_padded_to_few_lengths() {
        let items: Vec<_> = (0..64 + 33).collect();
        let rows: Vec<_> = chunks(&items).map(|(chunk, rows)| (chunk.len(), rows)).collect();
        assert_eq!(rows, [(64, 64), (33, 40)]);
        let (chunk, rows) = chunks(&items).last().expect("two chunks");
        let padded: Vec<_> = padded(chunk, rows).collect();
        assert_eq!((padded.len(), padded[32], padded[39]), (40, &96, &96));
        let lengths: std::collections::BTreeSet<_> =
            (1..=64).flat_map(|length| super::chunks(&items[..length]).map(|(_, rows)| rows)).collect();
        assert_eq!(lengths.len(), 20);
        assert_eq!(super::chunks::<u8>(&[]).count(), 0);
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
