//! What every client of this program for requests of its own has in common.
//! What is asked, and of whom, is the business of who makes one.

use std::sync::OnceLock;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_can_be_made_whether_the_machine_trusts_anybody_or_not() {
        for https in [false, true] {
            client(https).build().expect("a client");
        }
    }
}
