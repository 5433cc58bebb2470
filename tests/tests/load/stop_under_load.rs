//! SIGTERM while phones upload: what is acknowledged is kept, what is answered
//! is told, and the end comes soon, whatever the store does.

use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::{Backlog, Database, Engine, Server, Settings, Stopped};

use crate::account::{every_acknowledged_reading_is_kept, every_answer_is_told_once, ledger_adds_up};
use crate::on_both_engines;
use crate::volt::{Phone, now_ms};

on_both_engines! {
    a_stop_under_load_keeps_what_it_acknowledged_and_tells_what_it_answered
    a_stop_does_not_wait_for_a_store_that_does_not_answer
}

const PHONES: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(60);
/// What a service manager waits for at least before it kills.
const SOON: Duration = Duration::from_secs(10);

async fn a_stop_under_load_keeps_what_it_acknowledged_and_tells_what_it_answered(
    engine: Engine,
) -> anyhow::Result<()> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(()) };
    let backlog = backlog(500);
    let settings = Settings::default().database(&database);
    let mut server = Server::start(settings.clone()).await?;
    let load = backlog.send(server.address(), 32);
    let stop = async {
        backlog.wait_for_acknowledged(400, PATIENCE).await?;
        server.terminate().await
    };
    let ((), stopped) = tokio::join!(load, stop);
    let stopped = stopped?;
    ensure!(!backlog.is_empty(), "everything was sent before the stop came");
    ended_soon_and_well(&stopped);
    ledger_adds_up(&stopped.events);
    every_answer_is_told_once(&backlog.answered(), &stopped.events);

    let mut next = Server::start(settings.data_of(&server)).await?;
    assert_eq!(next.events()[0]["previous_shutdown"], "clean");
    every_acknowledged_reading_is_kept(&next, &backlog.answered()).await?;
    next.stop().await?;
    Ok(())
}

async fn a_stop_does_not_wait_for_a_store_that_does_not_answer(engine: Engine) -> anyhow::Result<()> {
    let Some(database) = Database::fresh(engine).await? else { return Ok(()) };
    // More than one batch, so that there would be more than one to wait for.
    let backlog = backlog(75);
    let mut server = Server::start(Settings::default().database(&database)).await?;
    let mut lock = server.look().await?;
    lock.hold_writes(engine).await?;
    let process = server.process()?;
    let crowd = process.open_files()? + 550;
    let load = backlog.send_once(server.address(), backlog.len());
    let stop = async {
        let deadline = Instant::now() + PATIENCE;
        while process.open_files()? < crowd {
            ensure!(Instant::now() < deadline, "the crowd does not come");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // A connection is no request yet: one that was refused is, and those
        // behind it wait.
        while backlog.answered().is_empty() {
            ensure!(Instant::now() < deadline, "nobody is told that the store does not answer");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.terminate().await
    };
    let ((), stopped) = tokio::join!(load, stop);
    let stopped = stopped?;
    ended_soon_and_well(&stopped);
    ledger_adds_up(&stopped.events);
    let answered = backlog.answered();
    ensure!(!answered.is_empty(), "nobody was answered");
    assert!(answered.iter().all(|answered| answered.answer.status == 503), "the store takes nothing");
    every_answer_is_told_once(&answered, &stopped.events);
    Ok(())
}

/// Points of several phones, all of them waiting.
fn backlog(minutes: u32) -> Backlog {
    let backlog = Backlog::default();
    let start_ms = now_ms() - 86_400_000;
    for number in 1..=PHONES {
        let start_ms = start_ms + i64::from(number);
        backlog.add(Phone::new(number, start_ms).drive(start_ms, 0..minutes));
    }
    backlog
}

fn ended_soon_and_well(stopped: &Stopped) {
    assert!(stopped.status.success(), "{}", stopped.status);
    assert!(stopped.took < SOON, "{:?}", stopped.took);
}
