//! What in `docs/` is made of the code, and held to it.

use std::path::PathBuf;

/// A file in `docs/`.
pub(crate) fn path(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")).join(file)
}

/// Holds a file to what it is made of. The tests whose names contain `tests`
/// write it anew where UPDATE_DOCS is set.
pub(crate) fn assert_is_up_to_date(file: &str, text: &str, tests: &str) {
    let path = path(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text).expect("docs/ can be written");
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == text, "docs/{file} is not up to date: UPDATE_DOCS=1 cargo test {tests}");
}
