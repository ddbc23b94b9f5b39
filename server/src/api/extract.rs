//! What handlers take from a request: like axum's extractors, but every refusal is one of our errors.

use axum::extract::{FromRequest, FromRequestParts};

use std::str::FromStr;

use super::error::{ApiError, ApiResult};

/// A JSON body.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(ApiError))]
pub(super) struct Json<T>(pub(super) T);

/// The parts of the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub(super) struct Path<T>(pub(super) T);

/// The query.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub(super) struct Query<T>(pub(super) T);

/// Ids of a query, separated by commas.
pub(super) fn ids<T: FromStr>(list: &str) -> ApiResult<Vec<T>> {
    // How many there may be is the business of whoever looks them up; this only keeps a silly list short.
    const IDS_MAX: usize = 1_000;
    let items = list.split(',').map(str::trim).filter(|id| !id.is_empty()).take(IDS_MAX);
    items.map(|id| id.parse().map_err(|_| ApiError::invalid("ids", "write ids separated by commas"))).collect()
}
