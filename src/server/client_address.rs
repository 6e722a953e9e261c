//! Client address of a request, and whether the client connected securely.

use super::{HEALTH_PATHS, HTTPS_REQUIRED, base_url, socket};
use crate::{rest, wire::BaseUrl};
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use ipnet::IpNet;
use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

/// Address and transport security of a client. Added to every request as an extension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientInfo {
    /// None if the address is unknown.
    pub address: Option<IpAddr>,
    /// Whether the client used TLS, to this server or to a trusted proxy.
    pub secure: bool,
}

/// Network settings: TLS, trusted proxies and URLs.
#[derive(Clone, Debug, Default)]
pub struct NetworkSettings {
    /// Whether the server itself terminates TLS.
    pub tls: bool,
    /// Whether requests without TLS are refused, except health checks.
    pub secure_only: bool,
    /// Trusted proxies. Their `X-Forwarded-*` headers are used.
    pub trusted: Vec<Network>,
    /// Base URL of links. None to derive it from each request.
    pub public_url: Option<BaseUrl>,
    /// Address that the server listens on.
    pub listening: Option<SocketAddr>,
}

/// IP network: one address, or all addresses with the same prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// Bits before an IPv4 address that is written as IPv6.
const MAPPED_BITS: u8 = 96;

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "must be an address such as 10.0.0.7, or a network such as 10.0.0.0/8".to_owned();
        let text = text.trim();
        let network = text.parse().or_else(|_| text.parse().map(|address: IpAddr| IpNet::from(address)));
        let network = network.map_err(|_| wrong())?;
        let first = network.addr().to_canonical();
        if first.is_ipv4() == network.addr().is_ipv4() {
            return Ok(Self(network));
        }
        let bits = network.prefix_len().checked_sub(MAPPED_BITS).ok_or_else(wrong)?;
        IpNet::new(first, bits).map(Self).map_err(|_| wrong())
    }
}

impl Network {
    /// Whether the network is larger than the largest private network, so that it cannot be the operator's alone.
    pub fn is_too_wide(&self) -> bool {
        self.0.prefix_len() < if self.0.addr().is_ipv4() { 8 } else { 7 }
    }

    /// Whether the address is in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// Returns the part of an address that a client cannot vary: the whole IPv4 address, or the first 64 bits of
/// an IPv6 address.
pub fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

impl NetworkSettings {
    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// Returns address and transport security of the client behind this peer.
    fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> ClientInfo {
        match peer {
            Some(proxy) if self.trusts(proxy) => {
                let secure = last(headers, &FORWARDED_PROTO)
                    .map_or(self.tls, |scheme| scheme.eq_ignore_ascii_case("https"));
                ClientInfo { address: Some(self.sender(proxy, headers)), secure }
            }
            address => ClientInfo { address, secure: self.tls },
        }
    }

    /// Returns the base URL of links in the response. A client can forge the `Host` header, so only headers
    /// of a trusted proxy and loopback hosts of direct clients are used.
    fn base_url(&self, peer: Option<IpAddr>, secure: bool, headers: &HeaderMap) -> BaseUrl {
        let scheme = if secure { "https" } else { "http" };
        let forwarded =
            || peer.filter(|peer| self.trusts(*peer)).and_then(|_| base_url::forwarded(scheme, headers));
        self.public_url
            .clone()
            .or_else(forwarded)
            .unwrap_or_else(|| base_url::direct(scheme, headers, self.listening))
    }

    /// Returns the last address in `X-Forwarded-For` that is not a trusted proxy. Earlier addresses may be
    /// forged.
    fn sender(&self, proxy: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut sender = proxy;
        for hop in list_items(headers, &FORWARDED_FOR).into_iter().rev() {
            let Some(address) = address_in(hop) else { return sender };
            sender = address.to_canonical();
            if !self.trusts(sender) {
                return sender;
            }
        }
        sender
    }
}

/// Returns the items of a comma-separated list, which may be spread over several headers.
fn list_items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let texts = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    texts.flat_map(|text| text.split(',')).map(str::trim).collect()
}

/// Returns the last item of such a list.
pub fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    list_items(headers, name).pop()
}

/// Parses an address with an optional port.
fn address_in(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Middleware: determines client address and base URL, and refuses insecure requests if TLS is required.
pub async fn identify_client(
    State(network): State<Arc<NetworkSettings>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical());
    let client = network.client(peer, request.headers());
    let path = request.uri().path();
    if network.secure_only && !client.secure && !HEALTH_PATHS.contains(&path) {
        return if path.starts_with("/graphql") {
            socket::refuse(StatusCode::FORBIDDEN, "FORBIDDEN", HTTPS_REQUIRED)
        } else {
            rest::https_required(path, HTTPS_REQUIRED)
        };
    }
    request.extensions_mut().insert(client);
    let base_url = network.base_url(peer, client.secure, request.headers());
    request.extensions_mut().insert(base_url);
    let mut response = next.run(request).await;
    if network.secure_only && client.secure {
        response
            .headers_mut()
            .insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> NetworkSettings {
        let trusted = ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"].map(|text| text.parse().unwrap()).to_vec();
        NetworkSettings { trusted, ..NetworkSettings::default() }
    }

    fn headers(values: &[(&HeaderName, &str)]) -> HeaderMap {
        values.iter().map(|(name, value)| ((*name).clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn forwarded_headers_count_only_from_a_trusted_proxy() {
        let from = |peer: &str, passed: &str| {
            let headers = headers(&[(&FORWARDED_FOR, passed), (&FORWARDED_PROTO, "https")]);
            let ClientInfo { address, secure } = network().client(Some(peer.parse().unwrap()), &headers);
            (address.unwrap().to_string(), secure)
        };
        let is = |address: &str, secure| (address.to_owned(), secure);
        assert_eq!(from("203.0.113.9", "198.51.100.1"), is("203.0.113.9", false));
        assert_eq!(from("192.0.2.1", "198.51.100.1"), is("198.51.100.1", true));
        assert_eq!(from("192.0.2.1", "6.6.6.6, 198.51.100.1, 10.1.2.3"), is("198.51.100.1", true));
        assert_eq!(from("192.0.2.1", "198.51.100.1:4711"), is("198.51.100.1", true));
        assert_eq!(from("192.0.2.1", "[2001:dead::1]:4711"), is("2001:dead::1", true));
        assert_eq!(from("192.0.2.1", "198.51.100.1, who knows"), is("192.0.2.1", true));
        assert_eq!(from("10.9.9.9", "10.1.2.3"), is("10.1.2.3", true));
        assert_eq!(from("192.0.2.2", "198.51.100.1"), is("192.0.2.2", false));
        assert_eq!(from("2001:db8:5::1", "198.51.100.1"), is("198.51.100.1", true));
    }

    #[test]
    fn a_proxy_must_send_the_scheme_for_a_request_to_count_as_secure() {
        let proxy = Some("192.0.2.1".parse().unwrap());
        let secure = |values: &[(&HeaderName, &str)]| network().client(proxy, &headers(values)).secure;
        assert!(
            !secure(&[])
                && !secure(&[(&FORWARDED_PROTO, "http")])
                && !secure(&[(&FORWARDED_PROTO, "https, http")])
        );
        assert!(secure(&[(&FORWARDED_PROTO, "HTTPS")]));
        assert!(!network().client(None, &headers(&[(&FORWARDED_PROTO, "https")])).secure);
    }

    #[test]
    fn a_network_wider_than_the_largest_private_one_is_too_wide() {
        for (network, too_wide) in [
            ("0.0.0.0/0", true),
            ("128.0.0.0/1", true),
            ("::ffff:0.0.0.0/96", true),
            ("::/0", true),
            ("2000::/3", true),
            ("10.0.0.0/8", false),
            ("fc00::/7", false),
            ("192.0.2.1", false),
        ] {
            assert_eq!(network.parse::<Network>().unwrap().is_too_wide(), too_wide, "{network}");
        }
    }

    #[test]
    fn a_network_is_an_address_with_an_optional_prefix_length() {
        for wrong in ["", "10.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "proxy.example"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("255.1.2.3".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
    }
}
