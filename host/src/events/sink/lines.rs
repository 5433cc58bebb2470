//! Many events as one piece of bytes, and how many of them got through whole.
//! Where they go is not known here.

use std::io::{Error, ErrorKind, Write};
use std::sync::Arc;

use super::KeptEvent;

/// Bytes that are written at once.
pub(super) const CHUNK: usize = 256 << 10;

/// A buffer for the lines of many events.
#[derive(Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    /// Writes the events' lines; how many are whole, and what came in the way
    /// of the next.
    pub(super) fn write(
        &mut self,
        out: &mut impl Write,
        events: &[Arc<KeptEvent>],
    ) -> (usize, Result<(), Error>) {
        self.0.clear();
        events.iter().for_each(|event| self.0.extend_from_slice(event.line()));
        let mut written = 0;
        let result = write(out, &self.0, &mut written);
        (whole(events, written), result)
    }

    /// Whether what was written last was so little that more may gather.
    pub(super) fn was_short(&self) -> bool {
        self.0.len() < CHUNK / 2
    }
}

/// Writes bytes; `written` says how far it got.
fn write(out: &mut impl Write, bytes: &[u8], written: &mut usize) -> Result<(), Error> {
    while *written < bytes.len() {
        match out.write(&bytes[*written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(length) => *written += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

/// How many of the events are whole in that many bytes.
fn whole(events: &[Arc<KeptEvent>], bytes: usize) -> usize {
    let mut end = 0;
    let is_whole = |event: &&Arc<KeptEvent>| {
        end += event.line().len();
        end <= bytes
    };
    events.iter().take_while(is_whole).count()
}
