//! The web app at `/`, where the operator has put one; else a page that says what this is.

use std::path::PathBuf;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::response::{Html, IntoResponse as _, Response};
use suda_schema::CONNECT_PATH;
use tower::ServiceExt as _;
use tower_http::services::{ServeDir, ServeFile};

use super::Api;
use super::fallback;

const PAGE: &str = include_str!("page.html");

/// Everything that no route answers: files of the web app, the page, or an error.
pub(super) async fn serve(State(api): State<Api>, request: Request) -> Response {
    let path = request.uri().path();
    let reserved = ["/v1", "/admin", CONNECT_PATH]
        .iter()
        .any(|part| path.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    if reserved {
        return fallback::not_found(request.uri().clone()).await.into_response();
    }
    match &api.config().web {
        Some(folder) => from_folder(folder.clone(), request).await,
        None if path == "/" && request.method() == Method::GET => Html(PAGE).into_response(),
        None if path == "/" => fallback::method_not_allowed().await.into_response(),
        None => fallback::not_found(request.uri().clone()).await.into_response(),
    }
}

async fn from_folder(folder: PathBuf, request: Request) -> Response {
    let uri = request.uri().clone();
    let method = request.method().clone();
    if !matches!(method, Method::GET | Method::HEAD) {
        return fallback::method_not_allowed().await.into_response();
    }
    let navigates = is_navigation(&request);
    let index = ServeFile::new(folder.join("index.html"));
    let files = ServeDir::new(&folder).precompressed_br().precompressed_gzip();
    // A path without a file is one of the app's own places, if it is a person who goes there.
    let served = if navigates { files.fallback(index).oneshot(request).await } else { files.oneshot(request).await };
    let response = match served {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if response.status() == 404 {
        return fallback::not_found(uri).await.into_response();
    }
    let mut response = response.map(axum::body::Body::new);
    // Always asked for anew, answered with 304 where nothing has changed.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn is_navigation(request: &Request) -> bool {
    let wants_page = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    let last = request.uri().path().rsplit('/').next().unwrap_or_default();
    wants_page && !last.contains('.')
}
