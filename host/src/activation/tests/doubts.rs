//! A library that did not say whether it has an activation.

use super::*;
use crate::activation::attempt::{Swap, begin, prepared};
use crate::activation::publication::{Ready, confirm, keep};
use crate::activation::{NotSwapped, Way, shared};
use crate::plugin_host::{Candidate, PluginSettings};
use crate::store::{Activated, StoreError};

const POLICY: Slot = Slot::SamplingPolicy;

/// One swap whose plugin has stood the checks.
async fn ready(process: &Process, component: Vec<u8>) -> Ready {
    let settings = PluginSettings::parse(PATIENT).expect("settings").of(POLICY).clone();
    let candidate = Candidate::new(POLICY, "a test", component, settings).await;
    let mut attempt = begin(&process.app, Swap::new(POLICY, Way::Api, candidate));
    let plugin = prepared(&process.app, &mut attempt).await.expect("fit");
    vec![(attempt, plugin)]
}

fn unconfirmed() -> StoreError {
    StoreError::Unavailable("the answer to COMMIT is lost".to_owned())
}

#[tokio::test]
async fn what_the_library_has_serves_though_it_was_not_confirmed() {
    let home = Home::with_guests();
    let process = home.process().await;
    let ready = ready(&process, variant(&home.component(POLICY), 1)).await;
    let confirmed = confirm(&process.app, &ready, unconfirmed()).await;
    assert!(matches!(confirmed, Err(NotSwapped::Store(_))), "it is not there: {confirmed:?}");

    let plugins = ready.iter().map(|(_, prepared)| (Way::Api, prepared, None));
    let kept = keep(&process.app.store, plugins, None).await.expect("a library");
    assert!(matches!(kept, Activated::All(_)), "{kept:?}");
    let confirmed = confirm(&process.app, &ready, unconfirmed()).await.expect("it is there");
    assert_eq!((confirmed.len(), confirmed[0].generation), (1, 2));

    // Nobody has published it: the doubt alone makes this host follow it.
    process.app.activations.doubt.notify_one();
    let app = Arc::clone(&process.app);
    let following = tokio::spawn(async move { shared::run(&app).await });
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while process.generation(POLICY) != 2 || process.swaps().len() < 4 {
        assert!(tokio::time::Instant::now() < deadline, "it is not followed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    following.abort();
    let told = process.swaps().remove(3);
    assert_eq!(
        (&told["swap"], &told["origin"]),
        (&"activation".into(), &"generation 2 in the library".into())
    );

    process.app.store.close(PATIENCE).await;
    let doubted = confirm(&process.app, &ready, unconfirmed()).await.expect_err("nobody can say");
    insta::assert_snapshot!(doubted, @"whether the library has it is not known, since the database cannot be reached or written: the answer to COMMIT is lost; what it says is followed");
    assert_eq!(crate::events::Failure::from(&doubted).code, crate::events::Code::E200);
}
