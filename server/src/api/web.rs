//! The web app at `/`, where the operator has put one; else a page that says what this is.

use std::path::PathBuf;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::{Html, IntoResponse as _, Response};
use suda_schema::CONNECT_PATH;
use tower::ServiceExt as _;
use tower_http::services::{ServeDir, ServeFile};

use super::Api;
use super::discovery;
use super::fallback;
use crate::link::PlainHttp;

/// What is in here has a name that changes with its content.
const HASHED_PATH: &str = "/static/";

/// Beside `connect-src`. Scripts, styles and all that they load come from here and nowhere else; text can't become markup,
/// because strings are refused wherever markup or script addresses are wanted (the app's policy `default` lets its own
/// worker through).
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; \
    font-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types default; connect-src 'self'";

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
    // An app that is still being built is served from when its page is there.
    let folder = api.config().web.as_ref();
    let is_there = match folder {
        Some(folder) => tokio::fs::try_exists(folder.join("index.html")).await.unwrap_or(true),
        None => false,
    };
    match folder.filter(|_| is_there) {
        Some(folder) => {
            let plain = request.extensions().get::<PlainHttp>().is_some();
            let sources = discovery::page_sources(api.facts(), plain, request.uri(), request.headers());
            from_folder(folder.clone(), request, &sources).await
        }
        None if path == "/" && request.method() == Method::GET => Html(PAGE).into_response(),
        None if path == "/" => fallback::method_not_allowed().await.into_response(),
        None => fallback::not_found(request.uri().clone()).await.into_response(),
    }
}

async fn from_folder(folder: PathBuf, request: Request, sources: &[String]) -> Response {
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
    dress(response.headers_mut(), uri.path(), sources);
    response
}

/// How a browser is to treat the app's files.
fn dress(headers: &mut HeaderMap, path: &str, sources: &[String]) {
    // All else is always asked for anew, and answered with 304 where nothing has changed.
    let cached = if path.starts_with(HASHED_PATH) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let fixed: [(HeaderName, &'static str); 4] = [
        (header::CACHE_CONTROL, cached),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policy = format!("{POLICY} {}", sources.join(" "));
    // A host that can't be said in a header is none that the page could have come from; nothing but itself then.
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(POLICY));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
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
