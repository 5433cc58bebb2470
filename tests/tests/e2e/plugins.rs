//! What an administrator sees and does, over HTTP, by files, by a signal and on
//! the command line.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use e2e::{Inbox, Server, Settings, binary, built, guest, raw, variant};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::volt::{Phone, now_ms};

const POLICY: &str = "sampling-policy";
/// The administrator's token.
pub const ADMIN: &str = "open sesame";

/// An answer of the admin API.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

/// Uploads a component with the administrator's token.
pub async fn put(server: &Server, slot: &str, component: Vec<u8>) -> anyhow::Result<Answer> {
    put_to(server.address(), slot, component).await
}

pub async fn put_to(address: SocketAddr, slot: &str, component: Vec<u8>) -> anyhow::Result<Answer> {
    let url = format!("http://{address}/api/plugins/{slot}");
    answer(client()?.put(url).bearer_auth(ADMIN).body(component)).await
}

async fn post(server: &Server, path: &str) -> anyhow::Result<Answer> {
    admin(server, Method::POST, path, Vec::new()).await
}

/// Asks for something with the administrator's token.
pub async fn admin(server: &Server, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
    let url = format!("http://{}/api/plugins/{path}", server.address());
    answer(client()?.request(method, url).bearer_auth(ADMIN).body(body)).await
}

fn client() -> anyhow::Result<reqwest::Client> {
    e2e::http_client()
}

async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    Ok(Answer { status: response.status().as_u16(), body: response.json().await? })
}

async fn start(inbox: &Inbox) -> anyhow::Result<Server> {
    Server::start(Settings::default().set("PLUGIN_DIR", inbox.path()).set("ADMIN_TOKEN", ADMIN)).await
}

#[tokio::test]
async fn only_an_administrator_replaces_a_plugin() -> anyhow::Result<()> {
    let inbox = Inbox::fresh()?;
    let mut server = start(&inbox).await?;
    let url = format!("http://{}/api/plugins/{POLICY}", server.address());
    for request in [
        client()?.put(&url).body(built(POLICY)?),
        client()?.put(&url).bearer_auth("open sesam").body(built(POLICY)?),
        client()?.post(format!("{url}/rollback")),
        client()?.post(format!("{url}/activate/0123456789")).bearer_auth(""),
    ] {
        let refused = answer(request).await?;
        assert_eq!((refused.status, &refused.body["code"]), (401, &json!("E001")), "{refused:?}");
    }
    server.stop().await?;

    let settings = Settings::default().set("PLUGIN_DIR", inbox.path());
    let mut server = Server::start(settings).await?;
    let refused = put(&server, POLICY, built(POLICY)?).await?;
    assert_eq!((refused.status, &refused.body["code"]), (401, &json!("E001")));
    assert_eq!(refused.body["detail"], "admin requests are refused: ADMIN_TOKEN is not set");
    assert_eq!(server.api("/api/plugins").await?["plugins"][POLICY]["generation"], 1, "a read is open");
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_refusal_names_the_problems_one_by_one() -> anyhow::Result<()> {
    let inbox = Inbox::fresh()?;
    let mut server = start(&inbox).await?;
    let refused = put(&server, POLICY, built("usage-tier")?).await?;
    assert_eq!((refused.status, &refused.body["code"]), (422, &json!("E412")));
    assert_eq!(refused.body["problems"][0], "missing export: volttracker:plugins/sampling@0.1.0");
    assert_eq!((&refused.body["slot"], &refused.body["origin"]), (&json!(POLICY), &json!("the upload")));

    // Refused by its head: nobody waits for 200 MB.
    let head = format!(
        "PUT /api/plugins/{POLICY} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\n\
         Content-Length: 209715200\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    );
    let refused = raw(server.address(), head.as_bytes()).await?;
    assert_eq!(refused.status, 413, "{refused:?}");
    assert!(refused.body.contains("is 200 MB, more than 64 MB"), "{refused:?}");

    for path in ["no-slot/rollback", "usage-tier/activate/nothing", "usage-tier/activate/0123456789"] {
        let refused = post(&server, path).await?;
        assert_eq!((refused.status, &refused.body["code"]), (400, &json!("E004")), "{path}");
    }
    assert!(server.upload(&Phone::new(1, 1).reading(now_ms(), "kc=900")).await?.is_ok());
    let listed = server.api("/api/plugins").await?["plugins"][POLICY].clone();
    assert_eq!(listed["generation"], 1);
    assert_eq!(listed["rejections"][0]["verdict"], "refused");
    let events = server.stop().await?;
    let refusals: Vec<_> = events.iter().filter(|event| event["swap"] == "refusal").collect();
    let codes: Vec<_> = refusals.iter().filter_map(|refusal| refusal["error"]["code"].as_str()).collect();
    assert_eq!(codes, ["E412", "E006"]);
    assert!(refusals.iter().all(|refusal| refusal["outcome"] == "rejected" && refusal["way"] == "api"));
    Ok(())
}

#[tokio::test]
async fn an_administrator_replaces_rolls_back_and_activates() -> anyhow::Result<()> {
    let inbox = Inbox::fresh()?;
    let mut server = start(&inbox).await?;
    let new = put(&server, POLICY, variant(&built(POLICY)?, 1)).await?;
    assert_eq!((new.status, &new.body["to"]["generation"]), (200, &json!(2)));
    let back = post(&server, &format!("{POLICY}/rollback")).await?;
    assert_eq!((back.status, &back.body["to"]["generation"]), (200, &json!(3)));
    assert_eq!(back.body["to"]["digest"], new.body["from"]["digest"]);
    assert_eq!(post(&server, &format!("{POLICY}/rollback")).await?.status, 422, "there is nothing before");

    let digest = new.body["to"]["digest"].as_str().context("a digest")?;
    let told = plugin_command(&server, &["activate", "--slot", POLICY, &digest[..10]]).await?;
    assert!(told.starts_with(&format!("{POLICY}: sampling-policy ")), "{told}");
    assert!(told.contains(&format!("({}, generation 4) instead of", &digest[..12])), "{told}");
    let told = plugin_command(&server, &["rollback", "--slot", POLICY]).await?;
    assert!(told.contains("generation 5) instead of"), "{told}");
    let refused = plugin_command(&server, &["rollback", "--slot", POLICY]).await.expect_err("nothing before");
    assert!(refused.to_string().contains("has no good predecessor to go back to (E412)"), "{refused}");
    let told = plugin_command(&server, &["list"]).await?;
    for part in ["sampling-policy: sampling-policy", "generation 5", "by rollback", "  rolled_back 20"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // What was refused before the plugin that serves is no news of it.
    assert_eq!(put(&server, POLICY, built("usage-tier")?).await?.status, 422);
    let listed = async || anyhow::Ok(server.api("/api/plugins").await?["plugins"][POLICY].clone());
    assert_eq!(listed().await?["rejections"][0]["verdict"], "refused");
    assert_eq!(put(&server, POLICY, variant(&built(POLICY)?, 2)).await?.status, 200);
    let after = listed().await?;
    assert_eq!(
        (&after["rejections"], &after["earlier_rejections"][0]["verdict"]),
        (&json!([]), &json!("refused"))
    );

    let events = server.stop().await?;
    let swaps: Vec<_> = events.iter().filter(|event| event["operation"] == "plugin_swap").collect();
    let ways: Vec<_> = swaps[3..].iter().map(|swap| (&swap["swap"], &swap["way"])).collect();
    let expected = [
        ("activation", "api"),
        ("rollback", "rollback"),
        ("refusal", "rollback"),
        ("activation", "api"),
        ("rollback", "rollback"),
        ("refusal", "rollback"),
        ("refusal", "api"),
        ("activation", "api"),
    ];
    assert_eq!(format!("{ways:?}"), format!("{:?}", expected.map(|(swap, way)| (json!(swap), json!(way)))));
    Ok(())
}

#[tokio::test]
async fn a_rollback_across_a_change_of_settings_says_which_ones_serve() -> anyhow::Result<()> {
    let inbox = Inbox::fresh()?;
    let mut server = start(&inbox).await?;
    let file = inbox.path().join("plugins.toml");
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(
        file,
        text.replacen("[sampling-policy]\n", "[sampling-policy]\nrecycle_after = 500\n", 1),
    )?;
    server.wait_for_count("plugin_swap", 4).await?;
    let told = plugin_command(&server, &["rollback", "--slot", POLICY]).await?;
    assert!(told.ends_with("\n  with other settings than before: {\"deadline_ms\":5000}\n"), "{told}");
    let told = plugin_command(&server, &["list"]).await?;
    let (before, set) = (r#"{"deadline_ms":5000}"#, r#"{"deadline_ms":5000,"recycle_after":500}"#);
    let lines = format!("  settings {before}\n  plugins.toml says {set}: a rollback brought these back\n");
    assert!(told.contains(&lines), "{told}");
    let events = server.stop().await?;
    let swaps: Vec<_> = events.iter().filter(|event| event["operation"] == "plugin_swap").collect();
    assert_eq!((&swaps[3]["way"], &swaps[3]["settings"]), (&json!("watch"), &json!(set)));
    assert_eq!((&swaps[4]["swap"], &swaps[4]["settings"]), (&json!("rollback"), &json!(before)));
    assert!(server.stderr().contains("plugin rolled back"), "{}", server.stderr());
    Ok(())
}

/// What `volttracker plugin …` says about this server.
pub async fn plugin_command(server: &Server, arguments: &[&str]) -> anyhow::Result<String> {
    plugin_command_as(server, ("ADMIN_TOKEN", ADMIN), arguments).await
}

/// The same with this token, by its variable.
pub async fn plugin_command_as(
    server: &Server,
    token: (&str, &str),
    arguments: &[&str],
) -> anyhow::Result<String> {
    let output = Command::new(binary()?)
        .arg("plugin")
        .args(arguments)
        .args(["--url", &format!("http://{}", server.address())])
        .env_clear()
        .env(token.0, token.1)
        .output()
        .await?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test]
async fn a_file_in_the_folder_is_taken_when_it_is_whole() -> anyhow::Result<()> {
    let inbox = Inbox::fresh()?;
    let mut server = start(&inbox).await?;
    let component = variant(&built(POLICY)?, 1);
    let (half, rest) = component.split_at(component.len() / 2);
    let mut file = std::fs::File::create(inbox.file(POLICY))?;
    file.write_all(half)?;
    // Time enough to look at half a file, if that were done.
    tokio::time::sleep(Duration::from_millis(300)).await;
    file.write_all(rest)?;
    drop(file);
    server.wait_for_count("plugin_swap", 4).await?;
    let events = server.stop().await?;
    let swap = events.iter().rfind(|event| event["operation"] == "plugin_swap").context("a swap")?;
    assert_eq!((&swap["swap"], &swap["way"]), (&json!("activation"), &json!("watch")));
    assert_eq!(events.iter().filter(|event| event["operation"] == "plugin_swap").count(), 4);
    Ok(())
}

#[tokio::test]
async fn a_hangup_signal_asks_to_look_again_and_ends_nothing() -> anyhow::Result<()> {
    let inbox = Inbox::fresh()?;
    let mut first = start(&inbox).await?;
    first.stop().await?;
    // A folder that is not there cannot be watched.
    let away = inbox.path().with_extension("away");
    let settings = Settings::default().data_of(&first).set("PLUGIN_DIR", &away);
    let mut server = Server::start(settings).await?;
    // It looks when it starts and every five seconds; this is in between.
    tokio::time::sleep(Duration::from_secs(1)).await;
    inbox.put(POLICY, &variant(&built(POLICY)?, 1))?;
    std::os::unix::fs::symlink(inbox.path(), &away)?;
    server.signal("HUP").await?;
    server.wait_for_count("plugin_swap", 1).await?;
    std::fs::remove_file(&away)?;
    let events = server.stop().await?;
    let swap = events.iter().find(|event| event["operation"] == "plugin_swap").context("a swap")?;
    assert_eq!((&swap["swap"], &swap["way"]), (&json!("activation"), &json!("sighup")));
    assert_eq!(swap["to"]["generation"], 2);
    Ok(())
}

#[tokio::test]
async fn a_failing_policy_is_rolled_back_and_a_slot_without_a_way_back_says_so() -> anyhow::Result<()> {
    let inbox = Inbox::fresh()?;
    let fails = "[sampling-policy]\ndeadline_ms = 5000\nfailures_before_rollback = 3\n\
        settings = { in_call = \"panic\" }\n";
    inbox.put(POLICY, &guest("guest-wayward-policy")?)?;
    std::fs::write(inbox.path().join("plugins.toml"), fails)?;
    let mut server = start(&inbox).await?;
    let phone = Phone::new(1, now_ms());
    for number in 0..4 {
        assert!(server.upload(&phone.reading(now_ms() + number, "kc=900")).await?.is_ok());
    }
    let degraded = |event: &Value| event["service"]["plugins"][POLICY]["degraded"] == true;
    server.wait_for("the alert", |events| events.iter().any(|e| e["way"] == "auto_rollback")).await?;
    let ready = e2e::get(server.address(), "/readyz", &[]).await?;
    assert_eq!(ready.status, 200);
    assert!(ready.body.starts_with("degraded\nsampling-policy: 3 failures in a row: "), "{ready:?}");

    std::fs::write(inbox.path().join("plugins.toml"), "")?;
    server.wait_for_count("plugin_swap", 5).await?;
    assert_eq!(e2e::get(server.address(), "/readyz", &[]).await?.body, "ready");
    std::fs::write(inbox.path().join("plugins.toml"), fails.replace("panic", "exit"))?;
    server.wait_for_count("plugin_swap", 6).await?;
    for number in 4..8 {
        assert!(server.upload(&phone.reading(now_ms() + number, "kc=900")).await?.is_ok());
    }
    server.wait_for_count("plugin_swap", 7).await?;
    assert_eq!(server.api("/api/plugins").await?["plugins"][POLICY]["way"], "auto_rollback");
    let events = server.stop().await?;
    let told: Vec<_> = events.iter().filter(|event| event["way"] == "auto_rollback").collect();
    assert_eq!(told.len(), 2);
    assert_eq!((&told[0]["swap"], &told[0]["outcome"]), (&json!("refusal"), &json!("failure")));
    assert_eq!((&told[1]["swap"], &told[1]["outcome"]), (&json!("rollback"), &json!("success")));
    assert!(told.iter().all(|event| event["error"]["alert"] == true && event["error"]["code"] == "E410"));
    assert!(degraded(told[0]));
    let uploads = events.iter().filter(|event| event["operation"] == "telemetry_upload");
    assert!(uploads.clone().any(degraded));
    for upload in uploads.filter(|event| event["error"]["code"] == "E410") {
        assert_eq!((&upload["success"], &upload["sampling"]["probability"]), (&json!(true), &json!(1.0)));
    }
    Ok(())
}

#[tokio::test]
async fn each_event_says_what_its_plugins_cost() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default().set("TRIP_TIMEOUT_SECONDS", "1")).await?;
    let start_ms = now_ms() - 600_000;
    let phone = Phone::new(1, start_ms);
    assert!(server.upload(&phone.full_reading(start_ms, 0)).await?.is_ok());
    server.wait_for_operation("trip_finalization", 1).await?;
    let listed = server.api("/api/plugins").await?["plugins"].clone();
    for slot in ["trip-calculator", "usage-tier", POLICY] {
        assert!(listed[slot]["calls"]["calls"].as_u64() > Some(0), "{listed}");
        assert!(listed[slot]["calls"]["p99_us"].as_f64() > Some(0.0), "{listed}");
        assert!(listed[slot]["memory"]["peak_bytes"].as_u64() > Some(0), "{listed}");
    }
    let events = server.stop().await?;
    for (operation, costs) in [
        ("telemetry_upload", &["usage_tier_ms", "sampling_policy_ms"][..]),
        ("trip_finalization", &["trip_calculator_ms", "usage_tier_ms", "sampling_policy_ms"]),
    ] {
        let event = events.iter().find(|event| event["operation"] == operation).context(operation)?;
        for cost in costs {
            assert!(event["performance_breakdown"][cost].as_f64() > Some(0.0), "{cost}: {event}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_upload_whose_client_is_gone_is_checked_and_told_all_the_same() -> anyhow::Result<()> {
    let inbox = Inbox::fresh()?;
    let mut server = start(&inbox).await?;
    let compiled = || std::fs::read_dir(server.data_dir().join("plugin-cache")).map(Iterator::count);
    let before = compiled()?;
    let settings = "[sampling-policy]\ndeadline_ms = 500\nsettings = { in_configure = 'sleep' }\n";
    std::fs::write(inbox.path().join("plugins.toml"), settings)?;
    let component = guest("guest-wayward-policy")?;
    let address = server.address();
    let client = tokio::spawn(async move { put_to(address, POLICY, component).await });
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while compiled()? <= before {
        anyhow::ensure!(std::time::Instant::now() < deadline, "it is not compiled: {}", server.stderr());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    client.abort();
    let refused = |event: &Value| event["way"] == "api" && event["swap"] == "refusal";
    server.wait_for("the refusal", |events| events.iter().any(refused)).await?;
    let events = server.stop().await?;
    let refusal = events.iter().find(|event| refused(event)).context("a refusal")?;
    assert_eq!((&refusal["outcome"], &refusal["error"]["code"]), (&json!("rejected"), &json!("E411")));
    Ok(())
}
