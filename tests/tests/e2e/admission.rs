//! Who comes in at the administrator's door, how often somebody may guess, and
//! how many requests are under way there.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use e2e::{Answer, Inbox, Server, Settings, get, raw, raw_from};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::plugins::ADMIN;

/// Wrong tokens that an address may send at once.
const GUESSES: usize = 10;
/// Admin requests that may be under way.
const UNDER_WAY: usize = 4;
/// What wants no token.
const FOR_EVERYBODY: [&str; 3] = ["/api/openapi.json", "/healthz", "/readyz"];
const ROLLBACK: &str = "/api/plugins/sampling-policy/rollback";

async fn start() -> anyhow::Result<(Inbox, Server)> {
    let inbox = Inbox::fresh()?;
    let settings = Settings::default()
        .set("PLUGIN_DIR", inbox.path())
        .set("TORQUE_API_TOKEN", "a read token")
        .set("ADMIN_TOKEN", ADMIN);
    let server = Server::start(settings).await?;
    Ok((inbox, server))
}

fn roll_back(token: &str) -> String {
    format!("POST {ROLLBACK} HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n")
}

fn seconds(answer: &Answer) -> Option<u64> {
    answer.header("retry-after")?.parse().ok()
}

#[tokio::test]
async fn who_guesses_is_told_of_and_slowed_down_and_does_not_shut_the_right_token_out() -> anyhow::Result<()>
{
    let (_inbox, mut server) = start().await?;
    let address = server.address();
    for guess in 0..GUESSES {
        // Each door that the admin token opens is a door to guess at.
        let answer = match guess % 2 {
            0 => raw(address, roll_back(&format!("guess {guess}")).as_bytes()).await?,
            _ => get(address, "/api/plugins", &[("Authorization", "Bearer a guess")]).await?,
        };
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(answer.body.contains("\"E001\""), "{answer:?}");
    }
    for _ in 0..3 {
        let answer = raw(address, roll_back("one guess more").as_bytes()).await?;
        assert_eq!(answer.status, 429, "{answer:?}");
        assert!(answer.body.contains("\"E007\""), "{answer:?}");
        assert!(seconds(&answer).is_some_and(|seconds| (1..=7).contains(&seconds)), "{answer:?}");
    }
    let entered = raw(address, roll_back(ADMIN).as_bytes()).await?;
    assert_eq!(entered.status, 422, "it is only that there is nothing to go back to: {entered:?}");
    let read = get(address, "/api/trips", &[("Authorization", "Bearer a read token")]).await?;
    assert_eq!(read.status, 200);
    let other = raw_from([127, 0, 0, 2].into(), address, roll_back("a guess").as_bytes()).await?;
    assert_eq!(other.status, 401, "others have an allowance of their own: {other:?}");
    server.stop().await?;
    let said = server.stderr();
    let told =
        said.lines().filter(|line| line.contains("WARN") && line.contains("token is missing or wrong"));
    assert_eq!(told.count(), GUESSES + 1, "{said}");
    assert!(!said.contains("guess "), "{said}");
    Ok(())
}

/// Each of them from an address of its own, which may guess.
#[tokio::test]
async fn every_door_of_the_api_wants_its_token() -> anyhow::Result<()> {
    let (_inbox, mut server) = start().await?;
    let token = [("Authorization", "Bearer a read token")];
    let document = get(server.address(), "/api/openapi.json", &token).await?;
    let document: Value = serde_json::from_str(&document.body)?;
    let mut last_address = 1;
    let paths = document["paths"].as_object().context("paths")?;
    for (path, methods) in paths.iter().filter(|(path, _)| !FOR_EVERYBODY.contains(&path.as_str())) {
        let path = path.replace("{slot}", "sampling-policy").replace("{digest}", "000000");
        let path = path.replace("{name}", "weather-failures").replace(['{', '}'], "");
        for method in methods.as_object().context("methods")?.keys() {
            last_address += 1;
            let request = format!(
                "{} {path} HTTP/1.0\r\nAuthorization: Bearer a guess\r\nContent-Length: 0\r\n\r\n",
                method.to_uppercase()
            );
            let answer =
                raw_from([127, 0, 0, last_address].into(), server.address(), request.as_bytes()).await?;
            assert_eq!(answer.status, 401, "{method} {path}: {}", answer.head);
        }
    }
    assert!(last_address > 30, "the document has its operations");
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn admin_requests_beyond_those_that_have_room_are_told_to_come_back() -> anyhow::Result<()> {
    let (_inbox, mut server) = start().await?;
    let address = server.address();
    let head = format!(
        "PUT /api/plugins/usage-tier HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\n\
         Content-Length: 1000\r\nConnection: close\r\n\r\n"
    );
    // Their bodies never come, so one is answered: the one too many.
    let mut requests = JoinSet::new();
    for _ in 0..=UNDER_WAY {
        let head = head.clone();
        requests.spawn(async move { raw(address, head.as_bytes()).await });
    }
    let refused = requests.join_next().await.context("a request")???;
    assert_eq!((refused.status, seconds(&refused)), (503, Some(5)), "{refused:?}");
    assert!(refused.body.contains("too many admin requests are under way"), "{refused:?}");
    let listed = get(address, "/api/plugins", &[("Authorization", &format!("Bearer {ADMIN}"))]).await?;
    assert_eq!(listed.status, 200, "who only reads needs no place");
    let answer = raw(address, roll_back(ADMIN).as_bytes()).await?;
    assert_eq!(answer.status, 422, "a rollback has a place of its own: {answer:?}");
    requests.shutdown().await;
    let activate = roll_back(ADMIN).replace("rollback", "activate/000000");
    let deadline = Instant::now() + Duration::from_secs(60);
    let admitted = loop {
        let answer = raw(address, activate.as_bytes()).await?;
        if answer.status != 503 {
            break answer;
        }
        anyhow::ensure!(Instant::now() < deadline, "their places stay taken: {answer:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(admitted.status, 400, "the library has none of that digest: {admitted:?}");
    server.stop().await?;
    Ok(())
}
