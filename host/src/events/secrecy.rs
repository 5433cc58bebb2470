//! What no event says, whatever its operation put into it: tokens, and who sent
//! the request. How secrets are found in a text is `torque`'s business.

use std::borrow::Cow;

use super::details::Details;
use super::record::{Record, cut_field};
use crate::identity::IdentityKey;
use crate::torque::{Hiding, Shapes};

impl Record {
    /// Hides secrets in every text that comes from outside, and cuts those that
    /// are too long. Once: what stands for an identity looks like one.
    pub(super) fn clean(&mut self, key: &IdentityKey) {
        let Some(known) = self.known.take() else { return };
        let replace = |identity: &str| key.pseudonym(identity);
        let from_a_client = self.is_of_a_client();
        self.cut_problems();
        let mut cut_fields = std::mem::take(&mut self.truncated_fields);
        self.each_text(|name, text| {
            let shapes = if from_a_client { shapes_in(name) } else { Shapes::None };
            let hiding = Hiding { known: &known, shapes, replace };
            // A text of this program has nothing to hide.
            if let Cow::Owned(text) = text {
                hiding.hide(text);
            }
            cut_field(name, text, &mut cut_fields);
        });
        self.truncated_fields = cut_fields;
    }

    /// Whether its texts may repeat what a client sent.
    fn is_of_a_client(&self) -> bool {
        matches!(self.details, Details::Upload(_) | Details::Import(_) | Details::ApiRequest(_))
    }
}

/// What in a client's text is a secret by its shape.
fn shapes_in(field: &str) -> Shapes {
    match field {
        "user_agent" | "error.message" | "error.exception_message" | "failure_reason" => Shapes::All,
        // Many proxies give requests ids that look like those of devices.
        "client_request_id" => Shapes::Mail,
        // Looked through when they were read: what is there by now are hashes.
        _ => Shapes::None,
    }
}
