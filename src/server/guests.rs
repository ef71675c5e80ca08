//! Who may knock, and how often in vain.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use actix_web::HttpRequest;

use crate::application::Name;
use crate::bucket::Bucket;
use crate::bucket::Rate;
use crate::moment::Moment;
use crate::server::network::Network;

/// How many addresses are remembered? The others share one bucket.
const ADDRESSES: usize = 16_384;

/// How many bytes of an `X-Forwarded-For` are looked at, from its end?
const FORWARDED_BYTES: usize = 1_024;

/// What the door knows of those who come.
#[derive(Debug)]
pub struct Guests {
    proxies: Vec<Network>,
    allowed: BTreeMap<Name, Vec<Network>>,
    in_vain: Option<Rate>,
    buckets: Mutex<BTreeMap<IpAddr, Bucket>>,
}

impl Guests {
    /// Takes the proxies whose word about addresses counts, the addresses that may call each forge's webhooks where only
    /// some may, and how many requests without a signature that holds an address may send; `None` for any number.
    #[must_use]
    pub fn new(proxies: Vec<Network>, allowed: BTreeMap<Name, Vec<Network>>, in_vain: Option<Rate>) -> Self {
        Self { proxies, allowed, in_vain, buckets: Mutex::default() }
    }

    /// Returns the address that a request comes from: the other end of the connection, or as far back as proxies that
    /// are trusted say, each of whom adds the address of its own other end to `X-Forwarded-For`.
    pub fn address(&self, request: &HttpRequest) -> IpAddr {
        let peer = request.peer_addr().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip());
        let told = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
        behind(peer.to_canonical(), &told.collect::<Vec<_>>().join(","), &self.proxies)
    }

    /// Returns whether an address may call a forge's webhooks.
    pub fn may_call(&self, forge: &str, address: IpAddr) -> bool {
        let listed = self.allowed.iter().find(|(name, _)| name.as_str() == forge);
        listed.is_none_or(|(_, ranges)| ranges.iter().any(|range| range.contains(address)))
    }

    /// Says whether an address may try again.
    ///
    /// # Errors
    /// It sent too many requests without a signature that holds; how long it has to wait.
    pub fn may_try(&self, address: IpAddr, now: Moment) -> Result<(), Duration> {
        let Some(rate) = self.in_vain else { return Ok(()) };
        let buckets = self.buckets();
        let bucket = buckets.get(&place(address)).or_else(|| crowded(&buckets));
        bucket.map_or(Ok(()), |bucket| bucket.refilled(rate, now).take(rate).map(drop))
    }

    /// Notes that an address sent a request whose signature did not hold.
    pub fn failed(&self, address: IpAddr, now: Moment) {
        let Some(rate) = self.in_vain else { return };
        let mut buckets = self.buckets();
        if buckets.len() >= ADDRESSES && !buckets.contains_key(&place(address)) {
            buckets.retain(|_, bucket| !bucket.refilled(rate, now).is_full(rate));
        }
        let crowd = buckets.len() >= ADDRESSES && !buckets.contains_key(&place(address));
        let place = if crowd { EVERYBODY } else { place(address) };
        let bucket = buckets.get(&place).copied().unwrap_or_else(|| Bucket::full(rate, now));
        let bucket = bucket.refilled(rate, now);
        buckets.insert(place, bucket.take(rate).unwrap_or(bucket));
    }

    fn buckets(&self) -> MutexGuard<'_, BTreeMap<IpAddr, Bucket>> {
        // A map of buckets is whole also after a panic elsewhere.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Guests {
    /// Everybody may come, as often as they like.
    fn default() -> Self {
        Self::new(Vec::new(), BTreeMap::new(), None)
    }
}

/// Stands for all addresses for which there was no room.
const EVERYBODY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

fn crowded(buckets: &BTreeMap<IpAddr, Bucket>) -> Option<&Bucket> {
    if buckets.len() < ADDRESSES { None } else { buckets.get(&EVERYBODY) }
}

/// Returns what has a bucket of its own: an address, of IPv6 a network of 64 bits, which one guest has to itself.
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

/// Follows the addresses that proxies noted, the last first, for as long as trusted ones said so.
fn behind(peer: IpAddr, noted: &str, proxies: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| proxies.iter().any(|proxy| proxy.contains(address));
    let start = noted.len().saturating_sub(FORWARDED_BYTES);
    let noted = noted.get(start..).unwrap_or_default();
    let mut address = peer;
    for one in noted.rsplit(',').map(str::trim) {
        if !is_trusted(address) {
            break;
        }
        let Ok(before) = one.parse::<IpAddr>() else { break };
        address = before.to_canonical();
    }
    address
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::IpAddr;
    use std::net::Ipv4Addr;

    use super::ADDRESSES;
    use super::Guests;
    use super::behind;
    use crate::bucket::Rate;
    use crate::moment::Moment;
    use crate::server::network::Network;

    const RATE: Rate = Rate { a_minute: 60, at_once: 2 };

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn tries(guests: &Guests, from: IpAddr, at: i64) -> bool {
        let may = guests.may_try(from, Moment(at)).is_ok();
        if may {
            guests.failed(from, Moment(at));
        }
        may
    }

    #[test]
    fn a_proxy_that_is_trusted_says_who_comes_and_nobody_else_does() {
        let proxies: Vec<Network> = ["10.0.0.0/8"].map(|range| range.parse().unwrap()).to_vec();
        let cases = [
            ("203.0.113.1", "198.51.100.1", "203.0.113.1"),
            ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "192.0.2.9, 198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "192.0.2.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "192.0.2.9, unknown", "10.0.0.1"),
            ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ];
        for (peer, noted, expected) in cases {
            assert_eq!(behind(address(peer), noted, &proxies), address(expected), "{peer} {noted}");
        }
        assert_eq!(behind(address("10.0.0.1"), &"9".repeat(1 << 20), &proxies), address("10.0.0.1"));
    }

    #[test]
    fn whoever_fails_too_often_waits_and_nobody_else_does() {
        let guests = Guests::new(Vec::new(), BTreeMap::new(), Some(RATE));
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        assert_eq!(
            [0, 0, 0, 999, 1000, 1000].map(|at| tries(&guests, one, at)),
            [true, true, false, false, true, false]
        );
        assert!(tries(&guests, other, 0));
        // One guest may have as many addresses of a network of 64 bits as it likes.
        let many = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"].map(address);
        assert_eq!(many.map(|from| tries(&guests, from, 0)), [true, true, false, true]);
    }

    #[test]
    fn a_crowd_takes_no_more_memory_and_whoever_is_known_keeps_a_bucket() {
        let guests = Guests::new(Vec::new(), BTreeMap::new(), Some(RATE));
        for number in 0..u32::try_from(ADDRESSES).unwrap() + 1_000 {
            guests.failed(IpAddr::V4(Ipv4Addr::from(number)), Moment(0));
        }
        assert!(guests.buckets().len() <= ADDRESSES + 1);
        // New ones share what is left for everybody.
        assert!(!tries(&guests, address("203.0.113.1"), 0));
        assert!(tries(&guests, IpAddr::V4(Ipv4Addr::from(1)), 0));
        // Later there is room again.
        guests.failed(address("203.0.113.1"), Moment(60_000));
        assert_eq!(guests.buckets().len(), 1);
    }
}
