//! Whether the node lives, and whether it takes clients; and its metrics.

use std::time::Duration;

use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use suda_schema::{ErrorCode, WireError};
use utoipa::ToSchema;

use super::Api;
use super::error::{ApiError, ApiResult};
use super::fallback;
use super::routes::Routes;
use crate::chat::ChatError;
use crate::link::PlainHttp;
use crate::store::{StoreError, keys};

/// How long the store may take to answer before the node counts as not ready.
const STORE_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Routes<Api> {
    Routes::new().get("/healthz", healthz).get("/readyz", readyz).get("/metrics", metrics)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(healthz, readyz, metrics))]
pub(super) struct Doc;

/// How the node is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`; anything else is an error with its status.
    status: &'static str,
    /// The version that runs.
    version: &'static str,
}

impl Health {
    fn ok() -> Json<Self> {
        Json(Self { status: "ok", version: env!("CARGO_PKG_VERSION") })
    }
}

/// The process lives
#[utoipa::path(get, path = "/healthz", tag = "node", responses((status = 200, body = Health)))]
async fn healthz() -> Json<Health> {
    Health::ok()
}

/// The node takes clients
///
/// Not while it starts or stops, nor while its store does not answer. For load balancers.
#[utoipa::path(get, path = "/readyz", tag = "node", responses(
    (status = 200, body = Health),
    (status = 503, body = WireError, description = "`shutting_down` or `unavailable`"),
))]
async fn readyz(State(api): State<Api>) -> ApiResult<Json<Health>> {
    if api.is_draining() {
        return Err(ApiError::new(ErrorCode::SHUTTING_DOWN, "the node is stopping"));
    }
    if !api.chat().peers().is_current() {
        return Err(ApiError::new(
            ErrorCode::UNAVAILABLE,
            "the node has not been able to give the others a sign of life",
        ));
    }
    match tokio::time::timeout(STORE_ANSWERS_WITHIN, store_answers(&api)).await {
        Ok(Ok(())) => Ok(Health::ok()),
        Ok(Err(error)) => Err(ChatError::from(error).into()),
        Err(_) => Err(ApiError::new(ErrorCode::UNAVAILABLE, "the store does not answer")),
    }
}

async fn store_answers(api: &Api) -> Result<(), StoreError> {
    api.chat().store().read(|txn| async move { txn.get(&keys::meta("format")).await.map(drop) }).await
}

/// Metrics in the text format of Prometheus
///
/// On plain HTTP only, unless the operator has set `http.metrics_public`.
#[utoipa::path(get, path = "/metrics", tag = "node", responses(
    (status = 200, body = String, content_type = "application/openmetrics-text"),
    (status = 404, body = WireError, description = "not on this port"),
))]
async fn metrics(State(api): State<Api>, plain: Option<Extension<PlainHttp>>, uri: Uri) -> Response {
    if plain.is_none() && !api.config().metrics_public {
        return fallback::not_found(uri).await.into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], api.all_metrics().render()).into_response()
}
