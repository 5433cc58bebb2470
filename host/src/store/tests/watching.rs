//! What the store says to those who watch over it.

use super::home::{homes, sqlite};
use super::model::*;
use crate::histogram::Distribution;
use crate::store::UnfinishedTrips;

#[tokio::test]
async fn unfinished_trips_are_counted_once_in_a_while() {
    for home in homes().await {
        let store = home.open().await;
        keep(&store, reading(1, 1, 0)).await;
        end_trip(&store, &miles(1.0)).await;
        keep(&store, reading(1, 2, 0)).await;
        keep(&store, reading(1, 3, 0)).await;
        let counted = store.unfinished_trips().await.unwrap();
        assert_eq!(counted, UnfinishedTrips { open: 2, failed: 0 }, "{:?}", home.engine);
        keep(&store, reading(1, 4, 0)).await;
        assert_eq!(store.unfinished_trips().await.unwrap(), counted, "{:?}: the answer holds", home.engine);
    }
}

#[tokio::test]
async fn the_writer_says_how_large_its_batches_are() {
    let home = sqlite();
    let store = home.open().await;
    for session in 1..=3 {
        keep(&store, reading(1, session, 0)).await;
    }
    let load = store.writer_load();
    let Distribution { up_to, count, sum } = load.batch_sizes;
    assert_eq!((load.waiting, count, sum, up_to[0]), (0, 3, 3, (1, 3)), "one at a time");
}
