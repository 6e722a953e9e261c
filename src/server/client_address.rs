//! How a request came to us: from which address, and whether by a secure connection.

use super::{HEALTH_PATHS, REFUSED_IN_THE_CLEAR, base_url, socket};
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

/// Put into every request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// None where that cannot be told.
    pub address: Option<IpAddr>,
    /// Whether it was sent by TLS, to us or to a proxy that we trust.
    pub secure: bool,
}

/// What is known of the way to us.
#[derive(Clone, Debug, Default)]
pub struct Entrance {
    /// Whether every connection is by TLS.
    pub tls: bool,
    /// Whether nothing else is answered, besides questions after our health.
    pub secure_only: bool,
    /// Those whose word on where a request came from is believed.
    pub trusted: Vec<Network>,
    /// What links begin with, whatever a request says; told by the request where this is not set.
    pub public_url: Option<BaseUrl>,
    /// Where the server listens.
    pub listening: Option<SocketAddr>,
}

/// An address or a network of addresses, such as `10.0.0.0/8`. IPv4 addresses written as IPv6 are IPv4 addresses.
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

/// What of an address one client cannot choose: all of an IPv4 address, the first 64 bits of an IPv6 one.
pub fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

impl Entrance {
    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// What is to be believed of a request from this peer.
    fn arrival(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Arrival {
        match peer {
            Some(proxy) if self.trusts(proxy) => {
                let secure = last(headers, &FORWARDED_PROTO)
                    .map_or(self.tls, |scheme| scheme.eq_ignore_ascii_case("https"));
                Arrival { address: Some(self.sender(proxy, headers)), secure }
            }
            address => Arrival { address, secure: self.tls },
        }
    }

    /// What links in the answer begin with. A `Host` header is no proof of where the client found the server,
    /// so only a trusted proxy's word counts, and a direct client's loopback name.
    fn base_url(&self, peer: Option<IpAddr>, secure: bool, headers: &HeaderMap) -> BaseUrl {
        let scheme = if secure { "https" } else { "http" };
        let forwarded =
            || peer.filter(|peer| self.trusts(*peer)).and_then(|_| base_url::forwarded(scheme, headers));
        self.public_url
            .clone()
            .or_else(forwarded)
            .unwrap_or_else(|| base_url::direct(scheme, headers, self.listening))
    }

    /// The last of those who passed the request on that we do not trust; whatever stands before it may be
    /// made up.
    fn sender(&self, proxy: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut sender = proxy;
        for hop in said(headers, &FORWARDED_FOR).into_iter().rev() {
            let Some(address) = address_in(hop) else { return sender };
            sender = address.to_canonical();
            if !self.trusts(sender) {
                return sender;
            }
        }
        sender
    }
}

/// The items of a list that may be spread over several headers.
fn said<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let texts = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    texts.flat_map(|text| text.split(',')).map(str::trim).collect()
}

pub fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    said(headers, name).pop()
}

/// An address, with or without a port.
fn address_in(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Finds out how a request came, and refuses it where it had to come by a secure connection and did not.
pub async fn arrived(State(entrance): State<Arc<Entrance>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical());
    let arrival = entrance.arrival(peer, request.headers());
    let path = request.uri().path();
    if entrance.secure_only && !arrival.secure && !HEALTH_PATHS.contains(&path) {
        return if path.starts_with("/graphql") {
            socket::refuse(StatusCode::FORBIDDEN, "FORBIDDEN", REFUSED_IN_THE_CLEAR)
        } else {
            rest::in_the_clear(path, REFUSED_IN_THE_CLEAR)
        };
    }
    request.extensions_mut().insert(arrival);
    let base_url = entrance.base_url(peer, arrival.secure, request.headers());
    request.extensions_mut().insert(base_url);
    let mut response = next.run(request).await;
    if entrance.secure_only && arrival.secure {
        response
            .headers_mut()
            .insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entrance() -> Entrance {
        let trusted = ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"].map(|text| text.parse().unwrap()).to_vec();
        Entrance { trusted, ..Entrance::default() }
    }

    fn headers(said: &[(&HeaderName, &str)]) -> HeaderMap {
        said.iter().map(|(name, value)| ((*name).clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let from = |peer: &str, passed: &str| {
            let headers = headers(&[(&FORWARDED_FOR, passed), (&FORWARDED_PROTO, "https")]);
            let Arrival { address, secure } = entrance().arrival(Some(peer.parse().unwrap()), &headers);
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
    fn a_proxy_that_says_nothing_of_the_scheme_vouches_for_nothing() {
        let proxy = Some("192.0.2.1".parse().unwrap());
        let secure = |said: &[(&HeaderName, &str)]| entrance().arrival(proxy, &headers(said)).secure;
        assert!(
            !secure(&[])
                && !secure(&[(&FORWARDED_PROTO, "http")])
                && !secure(&[(&FORWARDED_PROTO, "https, http")])
        );
        assert!(secure(&[(&FORWARDED_PROTO, "HTTPS")]));
        assert!(!entrance().arrival(None, &headers(&[(&FORWARDED_PROTO, "https")])).secure);
    }

    #[test]
    fn no_network_is_wider_than_the_largest_private_one() {
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
    fn a_network_is_written_with_its_length() {
        for wrong in ["", "10.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "proxy.example"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("255.1.2.3".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
    }
}
