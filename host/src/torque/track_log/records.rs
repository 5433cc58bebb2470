//! The lines of a log as cells: delimiter, blanks around cells, lines that are
//! too long. What a cell means is not known here.

use std::io::{self, Chain, Cursor, Read};

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, Terminator, Trim};

/// The longest line: a log of 117 columns has headers of 3 KB. Memory is bounded
/// by it, whatever is sent.
const LONGEST_LINE: usize = 64 * 1024;
/// How much of a file is looked at for its delimiter.
const LOOKED_AT: u64 = 16 * 1024;

/// What was looked at, the rest, and an end of the last line.
type Ended<R> = Chain<Chain<Cursor<Vec<u8>>, R>, &'static [u8]>;

/// A file's lines, one at a time.
pub(super) struct Records<R> {
    reader: Reader<LineLimit<Ended<R>>>,
    record: ByteRecord,
    delimiter: u8,
}

impl<R: Read> Records<R> {
    pub(super) fn begin(mut source: R) -> io::Result<Self> {
        let mut head = Vec::new();
        source.by_ref().take(LOOKED_AT).read_to_end(&mut head)?;
        if head.starts_with(b"\xef\xbb\xbf") {
            head.drain(..3);
        }
        let delimiter = delimiter(&head);
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            // The app quotes nothing, and a quote that is never closed would
            // make one cell of the rest of the file.
            .quoting(false)
            // A carriage return before it is a blank of the last cell.
            .terminator(Terminator::Any(b'\n'))
            .trim(Trim::All)
            .from_reader(LineLimit { source: Cursor::new(head).chain(source).chain(&b"\n"[..]), length: 0 });
        Ok(Self { reader, record: ByteRecord::new(), delimiter })
    }

    pub(super) fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The next line that is not empty.
    pub(super) fn advance(&mut self) -> io::Result<Option<&ByteRecord>> {
        while self.reader.read_byte_record(&mut self.record).map_err(in_words)? {
            if self.record.iter().any(|cell| !cell.is_empty()) {
                return Ok(Some(&self.record));
            }
        }
        Ok(None)
    }

    /// The line that came last.
    pub(super) fn current(&self) -> &ByteRecord {
        &self.record
    }

    /// Its number, from 1.
    pub(super) fn line(&self) -> u64 {
        // Where a line begins is told before the empty ones in front of it, so
        // this counts back from its end, which each line has.
        self.reader.position().line() - 1
    }
}

fn in_words(error: csv::Error) -> io::Error {
    match error.into_kind() {
        ErrorKind::Io(error) => error,
        // Lengths may differ, and bytes need not be UTF-8.
        other => io::Error::other(format!("{other:?}")),
    }
}

/// What stands between the cells of the first line.
fn delimiter(head: &[u8]) -> u8 {
    let first = head.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let count =
        |delimiter: &u8| first.map_or(0, |line| line.iter().filter(|byte| *byte == delimiter).count());
    // Of equals the last one counts: a comma, where there is none of them.
    [b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

/// A source whose lines have an end: `InvalidData` where one has not.
struct LineLimit<R> {
    source: R,
    /// Of the line that goes on.
    length: usize,
}

impl<R: Read> Read for LineLimit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        for line in buffer[..read].split_inclusive(|&byte| byte == b'\n') {
            self.length += line.len();
            if self.length > LONGEST_LINE {
                return Err(io::Error::from(io::ErrorKind::InvalidData));
            }
            if line.ends_with(b"\n") {
                self.length = 0;
            }
        }
        Ok(read)
    }
}

/// The text of a cell; what is not UTF-8 is replaced. Other programs put cells
/// into quotes.
pub(super) fn text(cell: &[u8]) -> std::borrow::Cow<'_, str> {
    let inner = cell.strip_prefix(b"\"").and_then(|cell| cell.strip_suffix(b"\""));
    String::from_utf8_lossy(inner.unwrap_or(cell).trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_what_stands_most_often_in_the_first_line() {
        for (head, expected) in [
            ("a,b;c,d\n1;2;3;4", b','),
            ("\n\r\na;b,c;d", b';'),
            ("a\tb\tc,d", b'\t'),
            ("alone", b','),
            ("", b','),
        ] {
            assert_eq!(delimiter(head.as_bytes()), expected, "{head:?}");
        }
    }

    #[test]
    fn a_line_without_an_end_takes_no_memory() {
        let endless = io::repeat(b'x').take(1 << 30);
        let mut records = Records::begin(endless).expect("the head is read");
        let error = records.advance().expect_err("it has no end");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(records.record.as_slice().len() <= 2 * LONGEST_LINE);
    }

    #[test]
    fn cells_lose_their_blanks_and_their_quotes() {
        let mut records = Records::begin(&b"\xef\xbb\xbf a , \"b c\" ,\"\xb0\n\n1\n"[..]).expect("read");
        let cells: Vec<_> = records.advance().expect("read").expect("a line").iter().map(text).collect();
        assert_eq!(cells, ["a", "b c", "\"\u{fffd}"]);
        records.advance().expect("read");
        assert_eq!(records.line(), 3);
        assert_eq!(records.current().len(), 1);
        assert!(records.advance().expect("read").is_none());
    }
}
