//! Files that are there whole or not at all, whatever ends the process. What
//! is in them is not known here.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Writes a file aside, makes it durable, then gives it its name. Two writers
/// of one file must not run at the same time.
pub fn write(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let aside = path.with_extension("new");
    let written = File::create(&aside).and_then(|mut file| {
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()
    });
    let named = written.and_then(|()| std::fs::rename(&aside, path));
    if named.is_err() {
        // Half a file is worth nothing; the error is what counts.
        std::fs::remove_file(&aside).ok();
    }
    named?;
    // The name itself is durable only with its folder.
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("note.json");
        write(&path, &[b"one"]).expect("write");
        write(&path, &[b"an", b"other"]).expect("write");
        assert_eq!(std::fs::read(&path).expect("read"), b"another");
        assert_eq!(std::fs::read_dir(dir.path()).expect("list").count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_file_as_it_was() {
        let dir = tempfile::tempdir().expect("temporary directory");
        assert!(write(&dir.path().join("missing/note.json"), &[b"one"]).is_err());
    }
}
