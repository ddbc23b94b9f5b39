//! The OpenAPI document, made from the handlers' own descriptions.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::routes::Routes;
use super::{Api, accounts, channels, devices, discovery, friends, health, members, messages, profile, sync, users};

pub(super) fn routes() -> Routes<Api> {
    Routes::new().get("/v1/openapi.json", openapi)
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "suda",
        description = "The HTTP API of a suda node. Ids are strings of digits; times are milliseconds since the Unix \
            epoch. Every error is `{\"code\", \"message\", \"retry_after_ms\"}` with the status of its code; the table of \
            codes is in docs/protocol.md. Requests that change something may be repeated: sending with the same \
            `client_msg_id` makes one entry.",
    ),
    paths(openapi),
    tags(
        (name = "node", description = "The node itself"),
        (name = "accounts", description = "Accounts, logins and one's own data"),
        (name = "users", description = "Profiles, friends and blocks"),
        (name = "devices", description = "One's devices and how they are told of messages"),
        (name = "channels", description = "Conversations and their members"),
        (name = "messages", description = "What is said in them"),
        (name = "sync", description = "What has happened since"),
    ),
)]
struct Doc;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_json().unwrap_or_default());

/// The whole document.
pub(super) fn document() -> OpenApi {
    let mut document = Doc::openapi();
    for area in areas() {
        document.merge(area);
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An access token.")).build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    document
}

fn areas() -> [OpenApi; 11] {
    [
        health::Doc::openapi(),
        discovery::Doc::openapi(),
        accounts::Doc::openapi(),
        profile::Doc::openapi(),
        users::Doc::openapi(),
        devices::Doc::openapi(),
        friends::Doc::openapi(),
        channels::Doc::openapi(),
        members::Doc::openapi(),
        messages::Doc::openapi(),
        sync::Doc::openapi(),
    ]
}

/// This document
#[utoipa::path(get, path = "/v1/openapi.json", tag = "node", responses(
    (status = 200, description = "OpenAPI 3.1", content_type = "application/json"),
))]
async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};
    use suda_schema::AppendOnly;
    use suda_schema::channel::Op;
    use suda_schema::entry::{Body, What};
    use suda_schema::event::UserEvent;

    use super::*;

    /// Merging keeps the first of two schemas of one name, and whoever meant the second is misled.
    #[test]
    fn no_two_schemas_have_one_name() {
        let mut known: BTreeMap<String, Value> = BTreeMap::new();
        for area in areas() {
            for (name, schema) in area.components.unwrap_or_default().schemas {
                let schema = serde_json::to_value(schema).unwrap();
                let before = known.entry(name.clone()).or_insert_with(|| schema.clone());
                assert_eq!(*before, schema, "{name}");
            }
        }
        let document = serde_json::to_value(document()).unwrap();
        let body = &document["components"]["schemas"]["SignUp"];
        assert_eq!(body["required"], json!(["handle", "password", "device"]), "{body}");
    }

    /// The names of the document are those of the wire.
    #[test]
    fn kinds_are_named_as_on_the_wire() {
        let document = serde_json::to_value(document()).unwrap();
        for (name, kinds) in
            [("Op", Op::NAMES), ("What", What::NAMES), ("Body", Body::NAMES), ("UserEvent", UserEvent::NAMES)]
        {
            let variants = document["components"]["schemas"][name]["oneOf"].as_array().unwrap();
            let named: Vec<_> = variants.iter().map(|variant| variant["required"][0].as_str().unwrap()).collect();
            assert_eq!(named, kinds, "{name}");
        }
    }
}
