//! Files grow, age, go and come back; lines are whole throughout.

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::events::ledger::Ledger;
use crate::events::sink::tests::event;

/// Files of at most that many bytes, as many as that, in a folder.
fn files(home: &TempDir, most_bytes: u64, keep: usize) -> Files {
    let longest = SignedDuration::from_hours(1);
    Files { folder: home.path().join("events"), most_bytes, longest, keep, last: None }
}

/// Events with these lines.
fn events(lines: &[&str]) -> Vec<Arc<KeptEvent>> {
    let ledger = Arc::<Ledger>::default();
    lines.iter().map(|line| event(format!("{line}\n").as_bytes(), &ledger)).collect()
}

fn home() -> TempDir {
    tempfile::tempdir().expect("temporary directory")
}

impl Files {
    fn take(&mut self, lines: &[&str]) {
        let (whole, result) = self.write(&mut Lines::default(), &events(lines));
        result.expect("written");
        assert_eq!(whole, lines.len());
    }

    /// What is in the files, oldest first.
    fn texts(&self) -> Vec<String> {
        let files = self.files().expect("a folder");
        files.iter().map(|(_, path)| fs::read_to_string(path).expect("text")).collect()
    }
}

#[test]
fn a_file_that_would_be_too_large_is_left_and_the_oldest_go() {
    let home = home();
    let mut files = files(&home, 12, 2);
    for line in ["first", "second", "third", "fourth", "fifth"] {
        files.take(&[line]);
    }
    assert_eq!(files.texts(), ["fourth\n", "fifth\n"]);
    files.take(&["6", "7"]);
    assert_eq!(files.texts(), ["fourth\n", "fifth\n6\n7\n"]);
    files.take(&["a line that has no room in any file"]);
    assert_eq!(files.texts(), ["fifth\n6\n7\n", "a line that has no room in any file\n"]);
}

#[test]
fn a_file_that_is_old_is_left_and_what_is_no_file_of_events_stays() {
    let home = home();
    let mut files = files(&home, 1000, 1);
    files.take(&["new"]);
    let (_, new) = files.files().expect("a folder").remove(0);
    let began = Timestamp::now() - SignedDuration::from_mins(61);
    files.last = None;
    fs::rename(new, files.folder.join(began.strftime(NAME).to_string())).expect("renamed");
    fs::write(files.folder.join("events-of-mine.jsonl"), "mine").expect("written");
    files.take(&["newer"]);
    assert_eq!(files.texts(), ["newer\n"]);
    assert_eq!(fs::read(files.folder.join("events-of-mine.jsonl")).expect("there"), b"mine");
}

#[test]
fn a_file_is_continued_after_its_last_whole_line() {
    let home = home();
    files(&home, 1000, 9).take(&["one", "two"]);
    let (_, path) = files(&home, 1000, 9).files().expect("a folder").remove(0);
    let text = fs::read_to_string(&path).expect("text") + "{\"half\":";
    fs::write(&path, text).expect("written");
    files(&home, 1000, 9).take(&["three"]);
    assert_eq!(files(&home, 1000, 9).texts(), ["one\ntwo\nthree\n"]);
}

#[test]
fn two_writers_of_a_folder_have_a_file_each() {
    let home = home();
    let (mut one, mut other) = (files(&home, 1000, 9), files(&home, 1000, 9));
    one.take(&["one"]);
    other.take(&["other"]);
    one.take(&["one again"]);
    assert_eq!(one.texts(), ["one\none again\n", "other\n"]);
}

#[test]
fn files_are_their_owners_alone() {
    let home = home();
    let mut files = files(&home, 1000, 9);
    files.take(&["one"]);
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&files.folder), 0o700);
    assert_eq!(mode(&files.files().expect("a folder")[0].1), 0o600);
}

#[test]
fn what_goes_to_a_file_that_is_gone_is_not_written() {
    let home = home();
    let mut files = files(&home, 1000, 9);
    files.take(&["one"]);
    fs::remove_dir_all(&files.folder).expect("removed");
    fs::write(&files.folder, "in the way").expect("written");
    for _ in 0..2 {
        let (whole, result) = files.write(&mut Lines::default(), &events(&["two"]));
        assert_eq!((whole, result.is_err()), (0, true));
    }
    fs::remove_file(&files.folder).expect("removed");
    files.take(&["two"]);
    assert_eq!(files.texts(), ["two\n"]);

    let moved = home.path().join("moved");
    fs::rename(&files.folder, &moved).expect("moved");
    let (whole, result) = files.write(&mut Lines::default(), &events(&["three"]));
    assert_eq!((whole, result.is_err()), (0, true));
    files.take(&["three"]);
    assert_eq!(files.texts(), ["three\n"]);
}
