//! Who may knock, and how often in vain.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::ops::Deref;
use std::ops::DerefMut;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;

use crate::application::Name;
use crate::bucket::Bucket;
use crate::bucket::Rate;
use crate::moment::Moment;
use crate::server::network::Network;

/// How many addresses are remembered? The others share one bucket.
const ADDRESSES: usize = 16_384;

/// How often are buckets that are full again thrown away at most, in milliseconds?
const TIDIED_EVERY_MS: u64 = 1_000;

/// How many proxies one behind the other are followed?
const HOPS: usize = 16;

/// What the door knows of those who come.
#[derive(Debug)]
pub struct Guests {
    proxies: Vec<Network>,
    allowed: BTreeMap<Name, Vec<Network>>,
    in_vain: Option<Rate>,
    buckets: Mutex<Buckets>,
}

impl Guests {
    /// Takes the proxies whose word about addresses counts, the addresses that may call each forge's webhooks where only
    /// some may, and how many requests without a signature that holds an address may send; `None` for any number.
    #[must_use]
    pub fn new(proxies: Vec<Network>, allowed: BTreeMap<Name, Vec<Network>>, in_vain: Option<Rate>) -> Self {
        Self { proxies, allowed, in_vain, buckets: Mutex::default() }
    }

    /// Returns the address that a request comes from: the other end of the connection, or as far back as proxies that
    /// are trusted say, each of whom adds the address of its own other end to `X-Forwarded-For`. `None` when one of
    /// them says what is no address: then nobody knows.
    pub fn address(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip().to_canonical();
        let values: Vec<&[u8]> =
            request.headers().get_all("x-forwarded-for").map(HeaderValue::as_bytes).collect();
        let noted = values.into_iter().rev().flat_map(|value| value.rsplit(|byte| *byte == b','));
        behind(peer, noted.take(HOPS), &self.proxies)
    }

    /// Returns whether an address may call a forge's webhooks.
    pub fn may_call(&self, forge: &str, address: Option<IpAddr>) -> bool {
        let listed = self.allowed.iter().find(|(name, _)| name.as_str() == forge);
        let inside = |range: &Network| address.is_some_and(|address| range.contains(address));
        listed.is_none_or(|(_, ranges)| ranges.iter().any(inside))
    }

    /// Says whether an address may send another request whose signature does not hold.
    ///
    /// # Errors
    /// It sent too many; how long it has to wait.
    pub fn may_try(&self, address: Option<IpAddr>, now: Moment) -> Result<(), Duration> {
        let Some(rate) = self.in_vain else { return Ok(()) };
        let buckets = self.buckets();
        let bucket = buckets.get(&place(address)).or_else(|| crowded(&buckets));
        bucket.map_or(Ok(()), |bucket| bucket.refilled(rate, now).take(rate).map(drop))
    }

    /// Notes that an address sent a request whose signature did not hold.
    pub fn failed(&self, address: Option<IpAddr>, now: Moment) {
        let Some(rate) = self.in_vain else { return };
        let mut buckets = self.buckets();
        let is_new = !buckets.contains_key(&place(address));
        // To look through all of them takes its time, so it is done now and then only.
        if is_new && buckets.len() >= ADDRESSES && now.since(buckets.tidied_at) >= TIDIED_EVERY_MS {
            buckets.retain(|_, bucket| !bucket.refilled(rate, now).is_full(rate));
            buckets.tidied_at = now;
        }
        let place = if is_new && buckets.len() >= ADDRESSES { EVERYBODY } else { place(address) };
        let bucket = buckets.get(&place).copied().unwrap_or_else(|| Bucket::full(rate, now));
        let bucket = bucket.refilled(rate, now);
        buckets.insert(place, bucket.take(rate).unwrap_or(bucket));
    }

    fn buckets(&self) -> MutexGuard<'_, Buckets> {
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

/// Stands for all addresses for which there was no room, and for those that are not known.
const EVERYBODY: Option<IpAddr> = None;

/// The buckets, by what has one of its own.
#[derive(Debug, Default)]
struct Buckets {
    all: BTreeMap<Option<IpAddr>, Bucket>,
    tidied_at: Moment,
}

impl Deref for Buckets {
    type Target = BTreeMap<Option<IpAddr>, Bucket>;

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl DerefMut for Buckets {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.all
    }
}

fn crowded(buckets: &Buckets) -> Option<&Bucket> {
    if buckets.len() < ADDRESSES { None } else { buckets.get(&EVERYBODY) }
}

/// Returns what has a bucket of its own: an address, of IPv6 a network of 64 bits, which one guest has to itself.
fn place(address: Option<IpAddr>) -> Option<IpAddr> {
    match address?.to_canonical() {
        IpAddr::V4(address) => Some(IpAddr::V4(address)),
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            Some(IpAddr::V6(Ipv6Addr::from(network)))
        }
    }
}

/// Follows the addresses that proxies noted, the last first, for as long as trusted ones said so.
fn behind<'a>(peer: IpAddr, noted: impl Iterator<Item = &'a [u8]>, proxies: &[Network]) -> Option<IpAddr> {
    let mut address = peer;
    for one in noted {
        if !proxies.iter().any(|proxy| proxy.contains(address)) {
            break;
        }
        address = noted_address(one.trim_ascii())?.to_canonical();
    }
    Some(address)
}

/// Reads what a proxy noted: an address, which some write with its port.
fn noted_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let with_port = || text.parse::<SocketAddr>().map(|both| both.ip());
    text.parse::<IpAddr>().or_else(|_| with_port()).ok()
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
        let may = guests.may_try(Some(from), Moment(at)).is_ok();
        if may {
            guests.failed(Some(from), Moment(at));
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
            ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
            ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
            ("10.0.0.1", "\u{ff}, 198.51.100.1", "198.51.100.1"),
        ];
        let found = |peer, noted: &str| {
            behind(address(peer), noted.as_bytes().rsplit(|byte| *byte == b','), &proxies)
        };
        for (peer, noted, expected) in cases {
            assert_eq!(found(peer, noted), Some(address(expected)), "{peer} {noted}");
        }
        // What a trusted proxy says must be an address, or nobody knows who comes.
        for noted in ["unknown", "198.51.100.1, \u{ff}", ""] {
            assert_eq!(found("10.0.0.1", noted), None, "{noted}");
        }
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
            guests.failed(Some(IpAddr::V4(Ipv4Addr::from(number))), Moment(0));
        }
        assert!(guests.buckets().len() <= ADDRESSES + 1);
        // New ones share what is left for everybody.
        assert!(!tries(&guests, address("203.0.113.1"), 0));
        assert!(tries(&guests, IpAddr::V4(Ipv4Addr::from(1)), 0));
        // Later there is room again.
        guests.failed(Some(address("203.0.113.1")), Moment(60_000));
        assert_eq!(guests.buckets().len(), 1);
    }
}
