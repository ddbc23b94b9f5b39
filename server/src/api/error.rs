//! Errors as they are answered: one JSON shape, `{"code", "message", "retry_after_ms"}`, whatever went wrong.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use suda_schema::{ErrorCode, WireError};

use crate::chat::ChatError;

/// An answer that says what was wrong.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    error: WireError,
}

/// What a handler answers.
pub(super) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        WireError::new(code, message).into()
    }

    /// A request that HTTP has a status for and the table of errors only a group.
    pub(super) fn with_status(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status, error: WireError::new(code, message) }
    }

    /// No such thing, or none that the caller may know of.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(ErrorCode::NOT_FOUND, format!("no such {what}"))
    }

    /// A field has a value that it can't have.
    pub(super) fn invalid(field: &str, why: &str) -> Self {
        Self::new(ErrorCode::INVALID, format!("{field}: {why}"))
    }
}

impl From<WireError> for ApiError {
    fn from(error: WireError) -> Self {
        let status = error.code.row().and_then(|row| StatusCode::from_u16(row.http).ok());
        Self { status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), error }
    }
}

impl From<ChatError> for ApiError {
    fn from(error: ChatError) -> Self {
        let wire = error.to_wire();
        // What is told to the client leaves out what only the operator should know.
        if wire.code.0 / 100 == 5 {
            tracing::error!(%error, "request failed");
        }
        wire.into()
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        let status = rejection.status();
        let code = match status {
            StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TOO_LARGE,
            StatusCode::UNPROCESSABLE_ENTITY => ErrorCode::INVALID,
            _ => ErrorCode::MALFORMED,
        };
        Self::with_status(status, code, rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(ErrorCode::INVALID, rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(ErrorCode::INVALID, rejection.body_text())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, error } = self;
        let retry_after_s = error.retry_after_ms.map(|ms| ms.div_ceil(1_000));
        let code = error.code;
        let mut response = (status, Json(error)).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED && code != ErrorCode::WRONG_CREDENTIALS {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(code);
        response
    }
}
