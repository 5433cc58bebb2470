//! The API's document, generated from its handlers.

use std::sync::OnceLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

/// What stands above all requests.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "VoltTracker",
        description = "Trips of plug-in hybrids, made of what their phones upload. Every refusal is a problem \
                       (RFC 9457) with the error code of its wide event.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "trips", description = "Trips and their readings."),
        (name = "vehicles", description = "Vehicles and their names."),
        (name = "energy", description = "Charging, fuel, the battery, and the ways that a vehicle goes."),
        (name = "live", description = "Trips that run."),
        (name = "figures", description = "Figures over many trips."),
        (name = "events", description = "Questions about wide events."),
        (name = "plugins", description = "The plugins that hold the business rules."),
        (name = "service", description = "How the service is."),
    ),
    security(("reader" = []), ()),
    components(schemas(super::problem::ProblemDetails, crate::plugin_host::Slot)),
    modifiers(&Schemes),
)]
pub(super) struct Document;

struct Schemes;

impl utoipa::Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = |about: &str| {
            let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about));
            SecurityScheme::Http(scheme.build())
        };
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(
            "reader",
            bearer("TORQUE_API_TOKEN or ADMIN_TOKEN; not needed where no TORQUE_API_TOKEN is set."),
        );
        components.add_security_scheme("upload", bearer("TORQUE_API_TOKEN, where it is set."));
        components.add_security_scheme("admin", bearer("ADMIN_TOKEN."));
    }
}

/// The document as JSON.
fn written() -> serde_json::Result<String> {
    super::document().to_pretty_json()
}

/// This document.
#[utoipa::path(get, operation_id = "get_openapi", path = "/api/openapi.json", tag = "service", security(()),
    responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value)))]
pub(super) async fn serve() -> Response {
    static WRITTEN: OnceLock<String> = OnceLock::new();
    // What is derived from types that can be written can be written itself.
    let document = WRITTEN.get_or_init(|| written().unwrap_or_default());
    ([(header::CONTENT_TYPE, "application/json")], document.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_in_docs_is_that_of_the_handlers() {
        let document = super::written().expect("JSON") + "\n";
        crate::tests::docs::assert_is_up_to_date("openapi.json", &document, "openapi");
    }
}
