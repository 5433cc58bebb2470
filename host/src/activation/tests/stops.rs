//! Activations that are under way when the process stops.

use super::*;
use crate::activation::{NotSwapped, begin_shadow, put};

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
        assert_eq!((&given_up["swap"], &given_up["outcome"]), (&"refusal".into(), &"rejected".into()));
        assert_eq!(given_up["error"]["code"], "E503");
    }
}
