//! Who drives may stand in any text that a phone sends: it is neither told nor
//! kept.

use e2e::{Engine, Server};

use super::{EMAIL, HEADER, ID, TIME_MS, no_output_contains, nothing_kept_contains, reading, settings};
use crate::on_both_engines;

on_both_engines! {
    who_drives_is_neither_told_nor_kept_whatever_it_stands_in
}

async fn who_drives_is_neither_told_nor_kept_whatever_it_stands_in(engine: Engine) -> anyhow::Result<()> {
    let Some(database) = e2e::Database::fresh(engine).await? else { return Ok(()) };
    let settings = settings().database(&database).set("RUST_LOG", "debug");
    let mut server = Server::start(settings).await?;
    let mail = EMAIL.replace('@', "%40");
    for query in [
        reading(&format!("kc=900&v={mail}&kfe12={mail}&kfe13=by+{ID}&k{ID}=1")),
        format!("{HEADER}&profileName={EMAIL}&profileNote=device:{ID}&v={ID}"),
        format!("{HEADER}&defaultUnit05={mail}&defaultUnit0c={ID}&defaultUnit{ID}=x"),
        format!("{HEADER}&userUnit05={mail}&userFullName0c=id-{ID}"),
        format!("{HEADER}&notice=Trip+by+{ID}&noticeClass={mail}"),
        // Into quarantine.
        format!("{HEADER}&time={TIME_MS}0&kc=900&v={mail}&note=%3A{ID}"),
        format!("x={mail}?id={ID}&device:{ID}"),
    ] {
        assert!(server.upload(&query).await?.is_ok(), "{query}");
    }
    assert_eq!(server.api("/api/status").await?["store"]["quarantined"], 2);
    let trips = server.api("/api/trips").await?.to_string();
    assert!(!trips.contains(ID) && !trips.contains(EMAIL), "{trips}");
    let events = server.stop().await?;
    assert_eq!(events.iter().filter(|event| event["operation"] == "telemetry_upload").count(), 7);
    // The store answered, or was not asked.
    assert!(events.iter().all(|event| event["vehicle_context"].get("stale").is_none()));
    no_output_contains(&server, &events, &[ID, EMAIL, &mail]);
    nothing_kept_contains(&server, &[ID, EMAIL, &mail]).await
}
