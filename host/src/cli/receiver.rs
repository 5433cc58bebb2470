//! Asks a running receiver. What is asked, and what its answer means, is each
//! command's business.

use anyhow::{Context as _, bail};
use reqwest::{Method, Response, Url};
use serde_json::Value;

use crate::config::Secret;
use crate::outbound;

/// Asks for JSON; the error is what the receiver refuses it with.
pub async fn ask(
    base: &Url,
    method: Method,
    path: &str,
    body: Vec<u8>,
    token: Option<&Secret>,
) -> anyhow::Result<Value> {
    let response = send(base, method, path, body, token).await?;
    let url = response.url().clone();
    let body = response.bytes().await.with_context(|| format!("the answer of {url} broke off"))?;
    Ok(serde_json::from_slice(&body).unwrap_or_default())
}

/// Asks for anything; the error is what the receiver refuses it with.
pub async fn send(
    base: &Url,
    method: Method,
    path: &str,
    body: Vec<u8>,
    token: Option<&Secret>,
) -> anyhow::Result<Response> {
    let url = base.join(path).with_context(|| format!("{base} has no path"))?;
    let client = outbound::client(base.scheme() == "https").build()?;
    let mut request = client.request(method, url.clone()).body(body);
    if let Some(token) = token {
        request = request.bearer_auth(token.expose());
    }
    let response = request.send().await.with_context(|| format!("no receiver answers at {base}"))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.bytes().await.with_context(|| format!("the answer of {url} broke off"))?;
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    bail!("{}", refusal(&answer).unwrap_or_else(|| format!("{url} answers {status}")))
}

/// Problem details in lines, if that is what came.
fn refusal(answer: &Value) -> Option<String> {
    let mut text = format!("{} ({})", answer["detail"].as_str()?, answer["code"].as_str()?);
    for problem in answer["problems"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        text.push_str("\n  ");
        text.push_str(problem);
    }
    Some(text)
}
