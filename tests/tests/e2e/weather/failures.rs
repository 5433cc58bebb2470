//! A weather service that is unwell: each failure has its code and its event,
//! and the trip is final without weather.

use e2e::open_meteo::{Nobody, OpenMeteo, Reply};
use e2e::{Server, Settings};
use serde_json::{Value, json};

use super::{LONG_AGO_MS, as_snapshot, drive, ends, of, only_request, settings};

/// A drive with a service that replies like this to its first requests: all
/// events, and how often it was asked.
async fn after(replies: &[Reply]) -> anyhow::Result<(Vec<Value>, usize)> {
    let service = OpenMeteo::start(replies).await?;
    let events = final_without_weather(service.asked_by(settings())).await?;
    Ok((events, service.asked().len()))
}

/// A drive whose trip is final without weather: all events.
async fn final_without_weather(settings: Settings) -> anyhow::Result<Vec<Value>> {
    let mut server = Server::start(settings).await?;
    drive(&server, 1, LONG_AGO_MS).await?;
    let end = ends(&server, 1).await?.remove(0);
    assert_eq!((&end["success"], &end["attempt"]), (&json!(true), &json!(1)), "{end}");
    assert_eq!(end.get("weather_temp_f"), None);
    assert_eq!(end["technical_metrics"]["weather_missed"], "failed");
    assert_eq!(end.get("error"), None, "the request's own event tells of it");
    let trip = server.trips().await?.remove(0);
    assert_eq!((&trip["status"], &trip["weather"]), (&json!("closed"), &Value::Null));
    let events = server.stop().await?;
    for text in events.iter().map(Value::to_string).chain([server.stderr()]) {
        assert!(!text.contains("hunter2"), "the key in {text}");
    }
    Ok(events)
}

fn code(events: &[Value]) -> Value {
    of(events, "external_api_weather")[0]["error"]["code"].clone()
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_e100_after_two_tries() -> anyhow::Result<()> {
    let service = OpenMeteo::start(&[Reply::Silence; 2]).await?;
    let settings = service.asked_by(settings()).set("WEATHER_API_TIMEOUT", "0.3");
    let events = final_without_weather(settings).await?;
    assert_eq!(code(&events), "E100");
    insta::assert_json_snapshot!("a_service_that_does_not_answer", only_request(&events));
    assert_eq!(service.asked().len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_service_that_is_not_there_is_e101() -> anyhow::Result<()> {
    let nobody = Nobody::new()?;
    let events = final_without_weather(nobody.asked_by(settings())?).await?;
    assert_eq!(code(&events), "E101");
    insta::assert_json_snapshot!("a_service_that_is_not_there", only_request(&events));
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_e102_and_not_tried_again() -> anyhow::Result<()> {
    let (events, asked) = after(&[Reply::Status(404, None)]).await?;
    assert_eq!((code(&events), asked), (json!("E102"), 1));
    insta::assert_json_snapshot!("a_refusal", only_request(&events));
    Ok(())
}

#[tokio::test]
async fn a_failure_of_the_service_is_e102_and_tried_again() -> anyhow::Result<()> {
    let (events, asked) = after(&[Reply::Status(503, None); 2]).await?;
    assert_eq!((code(&events), asked), (json!("E102"), 2));
    insta::assert_json_snapshot!("a_failure_of_the_service", only_request(&events));
    Ok(())
}

#[tokio::test]
async fn a_service_that_wants_fewer_requests_is_e103_and_left_alone_as_long_as_it_says() -> anyhow::Result<()>
{
    let (events, asked) = after(&[Reply::Status(429, Some(900))]).await?;
    assert_eq!((code(&events), asked), (json!("E103"), 1), "a trip does not wait for minutes");
    insta::assert_json_snapshot!("a_service_that_wants_fewer_requests", only_request(&events));
    Ok(())
}

#[tokio::test]
async fn a_short_retry_after_is_waited_for() -> anyhow::Result<()> {
    let service = OpenMeteo::start(&[Reply::Status(429, Some(1))]).await?;
    let mut server = Server::start(service.asked_by(settings())).await?;
    drive(&server, 1, LONG_AGO_MS).await?;
    assert_eq!(ends(&server, 1).await?[0]["weather_temp_f"], 28.4);
    let events = server.stop().await?;
    let [request] = of(&events, "external_api_weather").try_into().expect("one request");
    assert!(request["duration_ms"].as_f64().is_some_and(|ms| ms >= 1000.0), "{request}");
    insta::assert_json_snapshot!("a_second_try_that_is_answered", as_snapshot(request));
    assert_eq!(service.asked().len(), 2);
    Ok(())
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_e102_and_tried_again() -> anyhow::Result<()> {
    let (events, asked) = after(&[Reply::BrokenOff, Reply::Truncated]).await?;
    assert_eq!((code(&events), asked), (json!("E102"), 2));
    insta::assert_json_snapshot!("an_answer_that_breaks_off", only_request(&events));
    Ok(())
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_e102_and_not_tried_again() -> anyhow::Result<()> {
    for (name, reply) in [
        ("an_answer_of_wrong_types", Reply::WrongTypes),
        ("an_answer_without_hours", Reply::Empty),
        ("an_answer_that_is_too_large", Reply::Huge),
        ("a_redirect", Reply::Redirect),
    ] {
        let (events, asked) = after(&[reply]).await?;
        assert_eq!((code(&events), asked), (json!("E102"), 1), "{name}");
        insta::assert_json_snapshot!(name, only_request(&events));
    }
    Ok(())
}

#[tokio::test]
async fn a_service_that_is_unwell_holds_up_one_trip_and_no_upload() -> anyhow::Result<()> {
    let service = OpenMeteo::start(&[Reply::Silence]).await?;
    let settings = service.asked_by(settings()).set("WEATHER_API_MAX_RETRIES", "1");
    let mut server = Server::start(settings).await?;
    for number in 1..=6 {
        drive(&server, number, LONG_AGO_MS + i64::from(number) * 86_400_000).await?;
    }
    let all = ends(&server, 6).await?;
    let missed =
        |why: &str| all.iter().filter(|end| end["technical_metrics"]["weather_missed"] == why).count();
    assert_eq!((missed("failed"), missed("paused")), (1, 5));
    let events = server.stop().await?;
    assert!(of(&events, "telemetry_upload").iter().all(|upload| upload["success"] == true));
    assert_eq!(service.asked().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_service() -> anyhow::Result<()> {
    let service = OpenMeteo::start(&[Reply::Silence]).await?;
    let settings = service.asked_by(settings()).set("WEATHER_API_TIMEOUT", "10");
    let mut server = Server::start(settings).await?;
    drive(&server, 1, LONG_AGO_MS).await?;
    service.is_asked().await?;
    let events = server.stop().await?;
    let [end] = of(&events, "trip_finalization").try_into().expect("one end");
    assert_eq!(end["success"], true, "{end}");
    assert_eq!(code(&events), "E100");
    Ok(())
}
