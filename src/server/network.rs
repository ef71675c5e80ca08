//! Ranges of addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A range of addresses, such as `192.0.2.0/24`, or a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Returns whether an address is in the range. An IPv4 address in the clothes of IPv6 counts as what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alone = || text.parse::<IpAddr>().map(IpNet::from).ok();
        let range = text.parse::<IpNet>().ok().or_else(alone);
        // Bits behind the prefix are most often a slip, and which of the two was meant cannot be known.
        let clean = range.filter(|range| range.network() == range.addr());
        // Addresses are compared as what they are, so a range of IPv4 in the clothes of IPv6 would hold none.
        let clean = clean.filter(|range| range.addr().to_canonical() == range.addr());
        clean.map(Self).ok_or("must be a range of addresses such as \"192.0.2.0/24\", or one address")
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn ranges_hold_what_begins_like_them() {
        let cases = [
            ("192.0.2.0/24", "192.0.2.77", true),
            ("192.0.2.0/24", "::ffff:192.0.2.77", true),
            ("192.0.2.0/24", "192.0.3.1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "192.0.2.1", false),
            ("0.0.0.0/0", "203.0.113.9", true),
        ];
        for (range, address, inside) in cases {
            let range: Network = range.parse().unwrap();
            assert_eq!(range.contains(address.parse().unwrap()), inside, "{range} {address}");
        }
        for wrong in
            ["", "a", "192.0.2.0/33", "192.0.2.1/24", "192.0.2.0/24 ", "example.org", "::ffff:10.0.0.0/104"]
        {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
