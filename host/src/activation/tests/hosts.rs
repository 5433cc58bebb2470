//! Several hosts that share one database.

use std::time::Duration;

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

use super::*;
use crate::activation::{put, roll_back_for_operator, shared};

const POLICY: Slot = Slot::SamplingPolicy;

/// A fresh database on PostgreSQL, where there is one.
async fn database() -> Option<String> {
    sqlx::any::install_default_drivers();
    let Ok(url) = std::env::var("TEST_POSTGRES_URL") else {
        assert!(std::env::var_os("CI").is_none(), "CI tests PostgreSQL too: use tests/with-postgres.sh");
        eprintln!("SKIPPED: PostgreSQL (use tests/with-postgres.sh)");
        return None;
    };
    let name = format!("activation_{}", std::process::id());
    let mut server = AnyConnection::connect(&url).await.expect("a server");
    let create = format!("CREATE DATABASE {name}");
    sqlx::query(AssertSqlSafe(create)).execute(&mut server).await.expect("a database");
    let (server, options) = url.split_once('?').unwrap_or((&url, ""));
    let (server, _) = server.rsplit_once('/').expect("a database in the URL");
    Some(format!("{server}/{name}?{options}"))
}

async fn until_generation(process: &Process, generation: u64) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    while process.generation(POLICY) != generation {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain for generation {generation}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_one_activates_or_rolls_back_all_serve_by_one_generation() {
    let Some(url) = database().await else { return };
    let (one, other) =
        (Home::with(plugin_dir(PATIENT), Some(url.clone())), Home::with(plugin_dir(PATIENT), Some(url)));
    let first = one.process().await;
    let second = other.process().await;
    assert_eq!(second.generation(POLICY), 1, "the same files are the same activation");
    assert_eq!(second.swaps().len(), 0);
    let app = Arc::clone(&second.app);
    let following = tokio::spawn(async move { shared::run(&app).await });

    // A panic ends one look at what the others do, and is told.
    second.app.activations.fault.arm(1);
    put(&first.app, POLICY, variant(&one.component(POLICY), 1)).await.expect("fit");
    until_generation(&second, 2).await;
    assert_eq!(second.app.activations.fault.armed(), 0);
    assert_eq!(second.digest(POLICY), first.digest(POLICY));
    // A rollback is one for all: none waits for what others compile.
    other.forget_code();
    let busy = second.busy_compilers().await;
    roll_back_for_operator(&first.app, POLICY).await.expect("a predecessor");
    until_generation(&second, 3).await;
    drop(busy);
    assert_eq!(second.digest(POLICY), first.digest(POLICY));
    let ways: Vec<_> = second.swaps().iter().map(|swap| swap["way"].clone()).collect();
    assert_eq!(ways, ["shared", "shared", "shared"]);
    assert_eq!(second.swaps()[0]["error"]["code"], "E500");

    // A host that comes back with an old file takes what the others serve.
    following.abort();
    second.stop().await;
    let late = Home::with(plugin_dir(PATIENT), one.database_url.clone());
    let third = late.process().await;
    assert_eq!((third.generation(POLICY), third.swaps().len()), (3, 0));
    third.stop().await;
    first.stop().await;
}
