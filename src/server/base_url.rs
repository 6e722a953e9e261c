//! Base URL of links in responses.

use crate::wire::BaseUrl;
use axum::http::{HeaderMap, HeaderName, header, uri::Authority};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Parses the public base URL from the settings: a scheme and a host, optionally a port and a path.
pub fn parse(text: &str) -> Result<BaseUrl, String> {
    let wrong = || "must be a URL such as https://api.example.com or https://example.com/coffer".to_owned();
    let (scheme, rest) = text.trim().split_once("://").ok_or_else(wrong)?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority(host).ok_or_else(wrong)?;
    let path = path.trim_end_matches('/');
    if !["http", "https"].contains(&scheme) || !is_path(path) {
        return Err(wrong());
    }
    let path = if path.is_empty() { String::new() } else { format!("/{path}") };
    Ok(BaseUrl::new(format!("{scheme}://{host}{path}")))
}

/// Returns the base URL from the headers of a trusted proxy. None without a valid host.
pub fn forwarded(scheme: &str, headers: &HeaderMap) -> Option<BaseUrl> {
    let value =
        |name: &HeaderName| super::client_address::last(headers, name).filter(|text| !text.is_empty());
    let host = authority(value(&FORWARDED_HOST)?)?;
    let prefix = value(&FORWARDED_PREFIX)
        .map(|prefix| prefix.trim_matches('/'))
        .filter(|prefix| !prefix.is_empty() && is_path(prefix));
    Some(BaseUrl::new(format!(
        "{scheme}://{host}{}",
        prefix.map(|prefix| format!("/{prefix}")).unwrap_or_default()
    )))
}

/// Returns the base URL for a client without a proxy: the loopback host that it used, which can only be this
/// machine, or the address that the server listens on.
pub fn direct(scheme: &str, headers: &HeaderMap, listening: Option<SocketAddr>) -> BaseUrl {
    let named = headers.get(header::HOST).and_then(|host| authority(host.to_str().ok()?)).filter(is_loopback);
    let host = named
        .map(|host| host.to_string())
        .or_else(|| listening.map(reachable))
        .unwrap_or_else(|| "localhost".to_owned());
    BaseUrl::new(format!("{scheme}://{host}"))
}

fn reachable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() }
}

fn is_loopback(host: &Authority) -> bool {
    let name = host.host();
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost")
        || ip.is_ok_and(|ip| ip.is_loopback() || ip == IpAddr::V6(Ipv6Addr::LOCALHOST))
}

/// Parses a host with an optional port and without user info.
fn authority(text: &str) -> Option<Authority> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    let authority: Authority = text.parse().ok()?;
    (text.chars().all(plain) && !authority.host().is_empty()).then_some(authority)
}

fn is_path(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '~'))
        && !text.split('/').any(|step| step == "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(values: &[(HeaderName, &'static str)]) -> HeaderMap {
        values.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_base_url_has_a_scheme_a_host_and_an_optional_path() {
        for (text, read) in [
            ("https://api.example.com", "https://api.example.com"),
            ("https://api.example.com/", "https://api.example.com"),
            (" http://10.0.0.7:8080/coffer/v2/ ", "http://10.0.0.7:8080/coffer/v2"),
            ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ] {
            assert_eq!(parse(text).map(|url| url.to_string()), Ok(read.to_owned()));
        }
        for wrong in [
            "",
            "api.example.com",
            "ftp://x",
            "https://",
            "https://a b",
            "https://u@h",
            "https://h/a?b",
            "https://h/#",
            "https://h/..",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_proxy_sets_host_and_prefix() {
        for (host, prefix, url) in [
            ("api.example.com", "", Some("https://api.example.com")),
            ("a.example, b.example:444", "/coffer/", Some("https://b.example:444/coffer")),
            ("api.example.com", "//evil.example", Some("https://api.example.com/evil.example")),
            ("api.example.com", "/a/../b", Some("https://api.example.com")),
            ("user@evil.example", "", None),
            ("evil.example/path", "", None),
            ("", "", None),
        ] {
            let found = forwarded(
                "https",
                &headers(&[(FORWARDED_HOST.clone(), host), (FORWARDED_PREFIX.clone(), prefix)]),
            );
            assert_eq!(found.map(|found| found.to_string()).as_deref(), url, "{host} {prefix}");
        }
        assert!(forwarded("https", &HeaderMap::new()).is_none());
    }

    #[test]
    fn a_direct_client_cannot_choose_the_host() {
        let listening = Some("192.0.2.7:8080".parse().unwrap());
        let url = |host: &'static str, listening| {
            direct("http", &headers(&[(header::HOST, host)]), listening).to_string()
        };
        for (host, expected) in [
            ("evil.example", "http://192.0.2.7:8080"),
            ("192.0.2.9", "http://192.0.2.7:8080"),
            ("localhost.evil.example", "http://192.0.2.7:8080"),
            ("localhost:9999", "http://localhost:9999"),
            ("127.0.0.1:80", "http://127.0.0.1:80"),
            ("[::1]:80", "http://[::1]:80"),
        ] {
            assert_eq!(url(host, listening), expected);
        }
        assert_eq!(url("evil.example", Some("0.0.0.0:8080".parse().unwrap())), "http://localhost:8080");
        assert_eq!(direct("https", &HeaderMap::new(), None).to_string(), "https://localhost");
    }
}
