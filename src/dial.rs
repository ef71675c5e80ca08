//! Which addresses windlass connects to when it fetches and answers: not those of its own machine and network, unless a
//! forge is configured to be there, and never those that only ever mean something to the machine itself.
//!
//! A name is judged by the addresses that it was resolved to, at the moment of connecting, so that one which resolves
//! otherwise a second time gets no further. The ranges are those of the IANA registries of special-purpose addresses
//! (RFC 6890 and what followed).

use std::error::Error;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use reqwest::Url;
use reqwest::dns::Addrs;
use reqwest::dns::Name;
use reqwest::dns::Resolve;
use reqwest::dns::Resolving;

/// How far windlass may reach for one forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses only.
    Public,
    /// Loopback and private addresses too.
    Private,
}

/// An address that is not connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It may be, where the settings say so.
    #[error("{0} is {1}: set private = true at its forge if that is meant")]
    Private(IpAddr, &'static str),
    /// It never is.
    #[error("{0} is {1}, to which windlass never connects: give the forge's own address")]
    Never(IpAddr, &'static str),
}

/// Judges an address; one of version 4 in the clothes of version 6 by what is inside.
///
/// # Errors
/// Why it is not connected to.
pub fn judge(address: IpAddr, reach: Reach) -> Result<(), Refused> {
    let found = match address {
        IpAddr::V4(four) => special_four(four),
        IpAddr::V6(six) => match inside(six) {
            Some(four) => special_four(four),
            None => special_six(six),
        },
    };
    match found {
        None => Ok(()),
        Some((Reach::Private, _)) if reach == Reach::Private => Ok(()),
        Some((Reach::Private, what)) => Err(Refused::Private(address, what)),
        Some((Reach::Public, what)) => Err(Refused::Never(address, what)),
    }
}

/// Judges where a URL leads, as far as that is known before its name is resolved; what is no URL leads nowhere.
///
/// # Errors
/// As [`judge`].
pub fn judge_url(text: &str, reach: Reach) -> Result<(), Refused> {
    Url::parse(text).map_or(Ok(()), |url| judge_host(&url, reach))
}

/// Judges the host of a URL where it is an address already: then no name is resolved.
///
/// # Errors
/// As [`judge`].
pub fn judge_host(url: &Url, reach: Reach) -> Result<(), Refused> {
    let host = url.host_str().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.parse().map_or(Ok(()), |address| judge(address, reach))
}

/// Finds the refusal in what a client says of a connection that it did not make.
#[must_use]
pub fn refusal(error: &reqwest::Error) -> Option<Refused> {
    let chain = std::iter::successors(error.source(), |cause: &&(dyn Error + 'static)| (**cause).source());
    chain.filter_map(|cause| cause.downcast_ref::<Refused>()).next().copied()
}

/// What an address of a special range may be reached with at least, and what it is. `Public` stands for never.
type Special = (Reach, &'static str);

const LOCAL: [(Ipv4Addr, u32, &str); 5] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "an address of a provider's own network"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "a loopback address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
];
const NEVER: [(Ipv4Addr, u32, &str); 12] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "no address of a host"),
    (Ipv4Addr::new(100, 100, 100, 200), 32, "the address of a cloud's metadata"),
    (Ipv4Addr::new(168, 63, 129, 16), 32, "the address of a cloud's metadata"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address, such as that of a cloud's metadata"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "an address of a protocol"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "an address of documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "the address of a relay"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "an address of benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "an address of documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "an address of documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address"),
];
const LOCAL_SIX: [(Ipv6Addr, u32, &str); 2] = [
    (Ipv6Addr::LOCALHOST, 128, "a loopback address"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "a private address"),
];
const NEVER_SIX: [(Ipv6Addr, u32, &str); 11] = [
    (Ipv6Addr::UNSPECIFIED, 128, "no address of a host"),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, "an address that discards"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "an address of a protocol"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "an address of documentation"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "an address of documentation"),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16, "an address of a protocol"),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32, "an address of a cloud's own services"),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128, "the address of a cloud's metadata"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "a link-local address"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, "a site-local address"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "a multicast address"),
];

fn special_four(address: Ipv4Addr) -> Option<Special> {
    let bits = address.to_bits();
    let within = |(net, length, _): &&(Ipv4Addr, u32, &'static str)| {
        bits.checked_shr(32 - length) == net.to_bits().checked_shr(32 - length)
    };
    let never = NEVER.iter().find(within).map(|(.., what)| (Reach::Public, *what));
    never.or_else(|| LOCAL.iter().find(within).map(|(.., what)| (Reach::Private, *what)))
}

fn special_six(address: Ipv6Addr) -> Option<Special> {
    let bits = address.to_bits();
    let within = |(net, length, _): &&(Ipv6Addr, u32, &'static str)| {
        bits.checked_shr(128 - length) == net.to_bits().checked_shr(128 - length)
    };
    let never = NEVER_SIX.iter().find(within).map(|(.., what)| (Reach::Public, *what));
    never.or_else(|| LOCAL_SIX.iter().find(within).map(|(.., what)| (Reach::Private, *what)))
}

/// Returns the address of version 4 to which one of version 6 leads: mapped, compatible, translated or by 6to4.
fn inside(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let four = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0 | 1, 0, 0, 0, high, low] => {
            Some(four(high, low))
        }
        [0x2002, high, low, ..] => Some(four(high, low)),
        _ => None,
    }
}

/// Resolves names for a client, and keeps back what it must not connect to.
#[derive(Clone, Copy, Debug)]
pub struct Resolver(pub Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(fitting(found, reach)?)
        })
    }
}

/// Keeps the addresses that may be connected to; where there is none, one of the others says why.
fn fitting(found: Vec<SocketAddr>, reach: Reach) -> Result<Addrs, Refused> {
    let (mut fine, mut refused) = (Vec::new(), None);
    for address in found {
        match judge(address.ip(), reach) {
            Ok(()) => fine.push(address),
            Err(why) => refused = Some(why),
        }
    }
    match refused {
        Some(why) if fine.is_empty() => Err(why),
        _ => Ok(Box::new(fine.into_iter())),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::Reach;
    use super::Refused;
    use super::Resolver;
    use super::fitting;
    use super::judge;
    use super::judge_host;
    use super::refusal;

    /// `public` may always be reached, `private` where it is configured, `never` never.
    fn word(address: &str) -> &'static str {
        let address: IpAddr = address.parse().unwrap();
        match (judge(address, Reach::Public), judge(address, Reach::Private)) {
            (Ok(()), Ok(())) => "public",
            (Err(Refused::Private(..)), Ok(())) => "private",
            (Err(Refused::Never(..)), Err(Refused::Never(..))) => "never",
            (public, private) => panic!("{address}: {public:?} {private:?}"),
        }
    }

    #[test]
    fn every_range_begins_and_ends_where_it_should() {
        // The one before, the first, the last and the one after of each.
        let cases = [
            ("private", ["9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"]),
            ("private", ["100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"]),
            ("private", ["126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"]),
            ("private", ["172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"]),
            ("private", ["192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"]),
            ("never", ["169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"]),
            ("never", ["191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"]),
            ("never", ["192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"]),
            ("never", ["192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"]),
            ("never", ["198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"]),
            ("never", ["198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"]),
            ("never", ["203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"]),
            ("never", ["1.0.0.0", "0.0.0.0", "0.255.255.255", "1.0.0.1"]),
            ("never", ["223.255.255.255", "224.0.0.0", "255.255.255.255", "8.8.8.8"]),
            ("private", ["2003::", "fc00::", "fdff:ffff::ffff", "2606::"]),
            ("never", ["2606::", "fe80::", "febf:ffff::", "2620::"]),
            ("never", ["fe7f::", "fec0::", "feff::", "2620::"]),
            ("never", ["2620::", "ff00::", "ffff::", "2630::"]),
            ("never", ["2000:ffff::", "2001::", "2001:1ff:ffff::", "2001:200::"]),
            ("never", ["2001:db7:ffff::", "2001:db8::", "2001:db8:ffff::", "2001:db9::"]),
            ("never", ["3ffe:ffff::", "3fff::", "3fff:fff:ffff::", "3fff:1000::"]),
            ("never", ["5eff::", "5f00::", "5f00:ffff::", "5f01::"]),
            ("never", ["ff::", "100::", "100::ffff:ffff:ffff:ffff", "100:0:0:1::"]),
        ];
        for (expected, [before, first, last, after]) in cases {
            assert_eq!([word(first), word(last)], [expected; 2], "{first} {last}");
            assert_eq!([word(before), word(after)], ["public"; 2], "{before} {after}");
        }
    }

    #[test]
    fn single_addresses_and_what_is_inside_of_others() {
        let cases = [
            ("100.100.100.200", "never"),
            ("169.254.169.254", "never"),
            ("fd00:ec2::254", "never"),
            ("fd00:ec2::23", "never"),
            ("fd00:ec3::", "private"),
            ("fd20:ce::254", "never"),
            ("168.63.129.16", "never"),
            ("168.63.129.17", "public"),
            ("::", "never"),
            ("::1", "private"),
            ("::ffff:127.0.0.1", "private"),
            ("::ffff:169.254.169.254", "never"),
            ("::ffff:8.8.8.8", "public"),
            ("::10.0.0.1", "private"),
            ("::8.8.8.8", "public"),
            ("64:ff9b::a9fe:a9fe", "never"),
            ("64:ff9b::808:808", "public"),
            ("64:ff9b:1::a9fe:a9fe", "never"),
            ("64:ff9b:1::a00:1", "private"),
            ("2002:7f00:1::", "private"),
            ("2002:a9fe:a9fe::1", "never"),
            ("2002:808:808::1", "public"),
        ];
        for (address, expected) in cases {
            assert_eq!(word(address), expected, "{address}");
        }
    }

    #[test]
    fn hosts_that_are_addresses_are_judged_however_they_are_written() {
        for host in
            ["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "[::1]", "[::ffff:7f00:1]"]
        {
            let url = reqwest::Url::parse(&format!("http://{host}:3000/x")).unwrap();
            let refused = judge_host(&url, Reach::Public).unwrap_err();
            assert!(
                refused.to_string().contains("loopback address: set private = true"),
                "{host}: {refused}"
            );
            assert_eq!(judge_host(&url, Reach::Private), Ok(()), "{host}");
        }
        let name = reqwest::Url::parse("https://git.example.org/").unwrap();
        assert_eq!(judge_host(&name, Reach::Public), Ok(()), "a name is judged once it is resolved");
    }

    #[tokio::test]
    async fn a_client_says_that_a_name_led_out_of_reach() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let ask = async |reach| {
            let resolver = std::sync::Arc::new(Resolver(reach));
            let client = reqwest::Client::builder().no_proxy().dns_resolver(resolver).build().unwrap();
            client.get("http://localhost:1/").send().await.unwrap_err()
        };
        let refused = ask(Reach::Public).await;
        assert!(matches!(refusal(&refused), Some(Refused::Private(..))), "{refused:?}");
        assert_eq!(
            refusal(&ask(Reach::Private).await),
            None,
            "nobody listens there, and that is another matter"
        );
    }

    #[test]
    fn of_several_addresses_the_public_ones_are_left() {
        let found = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
        let mixed = found(&["10.0.0.1:0", "8.8.8.8:0", "[::1]:0"]);
        let left: Vec<_> = fitting(mixed.clone(), Reach::Public).unwrap().collect();
        assert_eq!(left, found(&["8.8.8.8:0"]));
        assert_eq!(fitting(mixed, Reach::Private).unwrap().count(), 3);
        assert!(fitting(found(&["10.0.0.1:0"]), Reach::Public).is_err());
        assert_eq!(fitting(Vec::new(), Reach::Public).unwrap().count(), 0, "nothing found is no refusal");
    }
}
