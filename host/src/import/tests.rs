//! Which rows are one drive, whatever their order; and where a file rests.

use std::io::Read as _;

use proptest::prelude::*;

use super::Spool;
use super::drives::{Drive, Gathering, MOST_DRIVES};
use crate::events::Code;

const GAP_MS: i64 = 120_000;

fn drives(times: impl IntoIterator<Item = i64>) -> Vec<Drive> {
    let mut gathering = Gathering::new(GAP_MS);
    times.into_iter().for_each(|time_ms| gathering.add(time_ms).expect("few drives"));
    gathering.end()
}

#[test]
fn a_pause_longer_than_a_trip_may_have_begins_another_drive() {
    let found = drives([0, GAP_MS, 2 * GAP_MS + 1, 2 * GAP_MS + 2]);
    let expected = [(0, GAP_MS), (2 * GAP_MS + 1, 2 * GAP_MS + 2)];
    assert_eq!(found, expected.map(|(start_ms, end_ms)| Drive { start_ms, end_ms }));
}

#[test]
fn a_row_between_two_drives_makes_one_of_them() {
    assert_eq!(drives([0, 2 * GAP_MS]).len(), 2);
    assert_eq!(drives([0, 2 * GAP_MS, GAP_MS]), [Drive { start_ms: 0, end_ms: 2 * GAP_MS }]);
}

#[test]
fn a_file_of_nothing_but_single_rows_is_refused() {
    let mut gathering = Gathering::new(GAP_MS);
    let mut times = (0..).map(|row| row * 10 * GAP_MS);
    assert!(times.by_ref().take(MOST_DRIVES).all(|time_ms| gathering.add(time_ms).is_ok()));
    assert!(gathering.add(times.next().expect("they have no end")).is_err());
}

#[tokio::test]
async fn a_file_rests_without_a_name_and_is_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spool = Spool::create(folder.path()).expect("room");
    for part in ["GPS Time,", "Altitude\n"] {
        spool.add(part.as_bytes()).await.expect("room");
    }
    assert_eq!(spool.bytes(), 18);
    let (mut file, mut text) = (spool.end().await.expect("room"), String::new());
    file.read_to_string(&mut text).expect("it can be read");
    assert_eq!(text, "GPS Time,Altitude\n");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    let nowhere = Spool::create(&folder.path().join("nowhere")).err().expect("no such folder");
    assert_eq!(nowhere.code, Code::E501);
}

proptest! {
    #[test]
    fn drives_are_those_of_the_times_in_order(
        times in prop::collection::vec(0..5_000_000_i64, 1..60).prop_flat_map(|times| {
            (Just(times.clone()), Just(times).prop_shuffle())
        }),
    ) {
        let (mut sorted, shuffled) = times;
        sorted.sort_unstable();
        let mut expected: Vec<Drive> = Vec::new();
        for time_ms in sorted {
            match expected.last_mut() {
                Some(last) if time_ms <= last.end_ms + GAP_MS => last.end_ms = time_ms,
                _ => expected.push(Drive { start_ms: time_ms, end_ms: time_ms }),
            }
        }
        prop_assert_eq!(drives(shuffled), expected);
    }
}
