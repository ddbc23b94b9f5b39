//! Answers where no route matches.

use axum::http::{StatusCode, Uri};
use suda_schema::ErrorCode;

use super::error::ApiError;

pub(super) async fn not_found(uri: Uri) -> ApiError {
    let message = format!("there is nothing at {}; /v1/openapi.json lists what there is", uri.path());
    ApiError::new(ErrorCode::NOT_FOUND, message)
}

pub(super) async fn method_not_allowed() -> ApiError {
    let message = "not with this method; the header `allow` names those that are";
    ApiError::with_status(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::MALFORMED, message)
}
