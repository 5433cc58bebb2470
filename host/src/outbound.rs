//! What every client of this program for requests of its own has in common.
//! What is asked, and of whom, is the business of who makes one.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};

/// A builder of clients. They follow no redirect: a token, and where a car
/// was, go to nobody else. Unless they speak `https`, they need no
/// certificates, and none are read.
pub fn client(https: bool) -> ClientBuilder {
    install_tls();
    let builder = Client::builder().redirect(Policy::none());
    if https && has_certificates() { builder } else { builder.tls_certs_only([]) }
}

fn install_tls() {
    // Whoever comes second finds it installed, and has nothing to do.
    rustls::crypto::ring::default_provider().install_default().ok();
}

/// Whether the machine trusts anybody. A client that trusts nobody can be
/// made, and its requests fail; one without certificates cannot be made.
fn has_certificates() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| match Client::builder().build() {
        Ok(_) => true,
        Err(error) => {
            let error = anyhow::Error::new(error);
            tracing::warn!(
                error = format!("{error:#}"),
                "no https server will be believed: are ca-certificates installed?"
            );
            false
        }
    })
}

/// An error and what caused it, without the address, which may hold a key.
pub fn causes(error: reqwest::Error) -> String {
    format!("{:#}", anyhow::Error::new(error.without_url()))
}

/// How long a service does not want to be asked: seconds, or a time.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let time = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(time.duration_since(Timestamp::now())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn retry_after_is_seconds_or_a_time() {
        let after = |text: &'static str| {
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]))
        };
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), None, "it is over");
        assert!(after("Fri, 31 Dec 2100 23:59:59 GMT").is_some_and(|long| long > Duration::from_secs(1)));
        assert_eq!(after("soon"), None);
        assert_eq!(after("-1"), None);
    }

    #[test]
    fn a_client_can_be_made_whether_the_machine_trusts_anybody_or_not() {
        for https in [false, true] {
            client(https).build().expect("a client");
        }
    }
}
