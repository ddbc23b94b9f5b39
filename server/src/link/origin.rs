//! Which pages may open a link from a browser.
//!
//! A link carries its own token, so that another site's page can't use a visitor's login as it could with a cookie;
//! the check keeps other sites from using the node as theirs, and from finding nodes in private networks.

use http::Uri;

/// Whether a page of `origin` may open a link to the host that it asked for. No origin means no browser.
pub(super) fn is_allowed(origin: Option<&str>, authority: Option<&str>, allowed: &[String]) -> bool {
    let Some(origin) = origin else { return true };
    if allowed.iter().any(|allowed| allowed == "*" || allowed.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
        return true;
    }
    // `null` and other things without a host are allowed only by name, or by `*`.
    let Some(host) = origin.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_ascii_lowercase)) else {
        return false;
    };
    let own = authority.and_then(|authority| authority.parse::<http::uri::Authority>().ok());
    is_local(&host) || own.is_some_and(|own| own.host().eq_ignore_ascii_case(&host))
}

fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_pages_local_pages_and_native_clients_are_allowed() {
        let own = Some("chat.example:4433");
        for origin in [
            None,
            Some("https://chat.example"),
            Some("https://CHAT.example:8443"),
            Some("http://localhost:3000"),
            Some("http://app.localhost"),
            Some("http://127.0.0.1:5173"),
            Some("http://[::1]:80"),
        ] {
            assert!(is_allowed(origin, own, &[]), "{origin:?}");
        }
    }

    #[test]
    fn other_pages_are_not() {
        let own = Some("chat.example:4433");
        for origin in [
            "https://evil.example",
            "https://chat.example.evil.example",
            "https://localhost.evil.example",
            "null",
            "",
            "file://",
            "https://notchat.example",
            "\u{7f}",
        ] {
            assert!(!is_allowed(Some(origin), own, &[]), "{origin:?}");
        }
        assert!(!is_allowed(Some("https://chat.example"), None, &[]));
    }

    #[test]
    fn named_pages_are_allowed() {
        let named = ["https://app.example/".to_owned()];
        assert!(is_allowed(Some("https://app.example"), Some("chat.example"), &named));
        assert!(!is_allowed(Some("http://app.example"), Some("chat.example"), &named), "the scheme counts");
        assert!(is_allowed(Some("null"), None, &["*".to_owned()]));
    }
}
