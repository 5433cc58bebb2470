//! Activations that are under way when the process stops.

use sqlx::{AnyConnection, Connection as _};

use super::*;
use crate::activation::attempt::{Batch, Swap, begin, prepared};
use crate::activation::{NotSwapped, Way, begin_shadow, put};
use crate::plugin_host::{Candidate, PluginSettings};

const POLICY: Slot = Slot::SamplingPolicy;

/// A candidate whose checks take a minute.
fn slow(home: &Home) -> Vec<u8> {
    let settings = "[sampling-policy]\ndeadline_ms = 60000\nsettings = { in_configure = \"sleep\" }\n";
    std::fs::write(home.plugin_dir.path().join("plugins.toml"), settings).expect("write");
    variant(&home.component(POLICY), 1)
}

#[tokio::test]
async fn what_is_not_checked_by_then_is_given_up_and_told_so() {
    let home = Home::with_guests();
    let process = home.process().await;
    let component = slow(&home);
    let (app, stopping) = (Arc::clone(&process.app), Arc::clone(&process.app));
    let work = async {
        tokio::join!(
            put(&app, POLICY, component.clone()),
            begin_shadow(&app, POLICY, component.clone()),
            async { stopping.stopping.send_replace(true) }
        )
    };
    let (swapped, begun, _) =
        tokio::time::timeout(PATIENCE, work).await.expect("nobody waits for the checks");
    assert!(matches!(swapped, Err(NotSwapped::Stopping)), "{swapped:?}");
    assert!(matches!(begun, Err(NotSwapped::Stopping)), "{begun:?}");
    let rejections = process.app.store.plugin_rejections(POLICY, 10).await.expect("a library");
    assert!(rejections.is_empty(), "it is tried again: {rejections:?}");
    let swaps = process.stop().await;
    assert_eq!(swaps.len(), 5);
    for given_up in &swaps[3..] {
        assert_eq!((&given_up["swap"], given_up.get("error")), (&"given_up".into(), None));
    }
}

#[tokio::test]
async fn what_the_library_has_not_confirmed_by_then_is_undecided_and_calls_nobody() {
    let home = Home::with_guests();
    let process = home.process().await;
    let url = format!("sqlite://{}", home.data_dir.path().join("volttracker.db").display());
    let mut other = AnyConnection::connect(&url).await.expect("a library");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("a lock");
    let component = variant(&home.component(POLICY), 1);
    let app = Arc::clone(&process.app);
    let putting = tokio::spawn(async move { put(&app, POLICY, component).await });
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while process.app.activations.publishing.try_lock().is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "it is not written");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    process.app.stopping.send_replace(true);
    let swapped = tokio::time::timeout(PATIENCE, putting).await.expect("it ends").expect("no panic");
    assert!(matches!(swapped, Err(NotSwapped::StoppingInDoubt)), "{swapped:?}");
    sqlx::query("ROLLBACK").execute(&mut other).await.expect("an end of the lock");
    let undecided = process.stop().await.pop().expect("a swap");
    assert_eq!((&undecided["swap"], undecided.get("error")), (&"undecided".into(), None));
}

#[tokio::test]
async fn of_what_changed_together_nothing_is_published_where_a_part_is_not_checked_by_then() {
    let home = Home::with_guests();
    let process = home.process().await;
    let slow = slow(&home);
    let settings = std::fs::read_to_string(home.plugin_dir.path().join("plugins.toml")).expect("read");
    let settings = PluginSettings::parse(&settings).expect("settings");
    let begun = async |slot: Slot, bytes: Vec<u8>| {
        let candidate = Candidate::new(slot, "a file", bytes, settings.of(slot).clone()).await;
        begin(&process.app, Swap::new(slot, Way::Watch, candidate))
    };
    let mut tier = begun(Slot::UsageTier, variant(&home.component(Slot::UsageTier), 1)).await;
    let mut policy = begun(POLICY, slow).await;

    let mut batch = Batch::new(&process.app);
    let fit = prepared(&process.app, &mut tier).await;
    assert!(fit.is_ok(), "{:?}", fit.err());
    batch.add(tier, fit);
    process.app.stopping.send_replace(true);
    let unchecked = prepared(&process.app, &mut policy).await;
    batch.add(policy, unchecked);
    for (slot, ended) in batch.publish().await {
        assert!(matches!(ended, Err(NotSwapped::Stopping)), "{slot}: {ended:?}");
    }
    assert_eq!(Slot::ALL.map(|slot| process.generation(slot)), [1, 1, 1]);
    let told: Vec<_> = process.stop().await.drain(3..).map(|swap| swap["swap"].clone()).collect();
    assert_eq!(told, ["given_up", "given_up"]);
}
