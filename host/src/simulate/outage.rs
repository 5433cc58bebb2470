//! A phone without a network: its app keeps what it could not send, and sends it afterwards
//! in no order.

use std::ops::Range;

use rand::seq::SliceRandom;

use super::encode::Upload;
use super::noise::stream;

/// Number of the random stream of the backlog's order.
const BACKLOG_STREAM: u64 = 5;

/// The uploads in the order in which they reach the server when the phone had no network in
/// `offline_ms` (epoch ms): what came in time first, then the backlog, shuffled.
pub fn in_order_of_arrival(
    uploads: impl Iterator<Item = Upload>,
    offline_ms: Range<i64>,
    seed: u64,
) -> Vec<Upload> {
    let (mut backlog, mut arrived): (Vec<_>, Vec<_>) =
        uploads.partition(|upload| offline_ms.contains(&upload.time_ms));
    backlog.shuffle(&mut stream(seed, BACKLOG_STREAM));
    arrived.append(&mut backlog);
    arrived
}

#[cfg(test)]
mod tests {
    //! What an outage does to the order, and that it loses nothing.
    use super::*;

    fn uploads() -> impl Iterator<Item = Upload> {
        (0..100).map(|time_ms| Upload { time_ms, is_reading: true, query: time_ms.to_string() })
    }

    #[test]
    fn the_backlog_comes_last_in_no_order_and_nothing_is_lost() {
        let arrived = in_order_of_arrival(uploads(), 20..80, 7);
        let times: Vec<i64> = arrived.iter().map(|upload| upload.time_ms).collect();
        assert!(times[..40].is_sorted() && !times[40..].is_sorted());
        assert!(times[40..].iter().all(|time| (20..80).contains(time)));
        let mut sorted = times.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<i64>>());
        assert_eq!(arrived, in_order_of_arrival(uploads(), 20..80, 7), "one seed is one order");
    }
}
