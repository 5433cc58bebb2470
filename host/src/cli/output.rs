//! What commands say: on standard output as far as somebody reads it, on
//! standard error to whoever listens.

use std::io::{ErrorKind, Write};

use anyhow::Context as _;

/// Writes to standard output. Who reads no further has read enough.
///
/// # Errors
/// It cannot be written.
pub fn print(text: &str) -> anyhow::Result<()> {
    print_while_read(text).map(|_| ())
}

/// The same; says whether anybody reads on.
///
/// # Errors
/// It cannot be written.
pub fn print_while_read(text: &str) -> anyhow::Result<bool> {
    write(&mut std::io::stdout().lock(), text).context("standard output cannot be written")
}

/// Says a line on standard error.
pub fn say(line: &str) {
    // Nobody may be listening; then there is nobody to tell.
    writeln!(std::io::stderr(), "{line}").ok();
}

/// Whether anybody reads on.
fn write(output: &mut impl Write, text: &str) -> std::io::Result<bool> {
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fails(ErrorKind);

    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_gone_is_no_error_and_a_full_disk_is_one() {
        assert!(write(&mut Fails(ErrorKind::BrokenPipe), "a line\n").is_ok_and(|reads_on| !reads_on));
        assert!(write(&mut Fails(ErrorKind::StorageFull), "a line\n").is_err());
    }
}
