//! Where a source lives, and who may be told its token.

/// The scheme, host and port of a URL, lowercase and with the port written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    secure: bool,
    host: String,
    port: u16,
}

impl Address {
    /// Reads the address of a repository's URL.
    ///
    /// # Errors
    /// Says in words for the settings' author what is wrong; never repeats the URL, which may carry a token.
    pub(super) fn of(url: &str) -> Result<Self, &'static str> {
        if url.bytes().any(|b| b <= b' ' || b == 0x7f || b == b'\\') {
            return Err("its url holds spaces, backslashes or control characters");
        }
        let (secure, rest) = if let Some(rest) = url.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = url.strip_prefix("http://") {
            (false, rest)
        } else {
            return Err("its url must start with https:// or http://");
        };
        if rest.contains(['?', '#']) {
            return Err("its url must not have a query or a fragment");
        }
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return Err("its url must not carry a user or a password; set its token instead");
        }
        let (host, port) = split_port(authority, if secure { 443 } else { 80 })?;
        if host.is_empty() {
            return Err("its url names no host");
        }
        Ok(Self { secure, host: host.to_ascii_lowercase(), port })
    }

    /// Returns whether a URL, as libgit2 tells it, leads to this very address.
    pub(super) fn covers(&self, url: &str) -> bool {
        Self::of(url).is_ok_and(|other| other == *self)
    }

    /// Returns the host, for people.
    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

fn split_port(authority: &str, default: u16) -> Result<(&str, u16), &'static str> {
    // An IPv6 address keeps its brackets: the last colon outside them starts the port.
    let after_host = authority.rfind(']').map_or(0, |end| end + 1);
    match authority.get(after_host..).and_then(|tail| tail.rfind(':').map(|at| after_host + at)) {
        None => Ok((authority, default)),
        Some(colon) => {
            let port = authority.get(colon + 1..).and_then(|digits| digits.parse().ok());
            let host = authority.get(..colon).unwrap_or_default();
            port.map(|port| (host, port)).ok_or("its url has a port that is no number")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn urls_are_plain_http_without_secrets() {
        let cases = [
            ("https://git.example.com/shop/config.git", true),
            ("http://127.0.0.1:3000/shop/config.git", true),
            ("https://[::1]:3000/x", true),
            ("https://[::1]/x", true),
            ("https://token@git.example.com/x", false),
            ("https://user:password@git.example.com/x", false),
            ("https://git.example.com/x?token=y", false),
            ("https://git.example.com/x#y", false),
            ("https://git.example.com:port/x", false),
            ("https:///x", false),
            ("ssh://git@git.example.com/x", false),
            ("git@git.example.com:x", false),
            ("file:///etc", false),
            ("/etc", false),
            ("https://git.example.com\\@evil.example.com/x", false),
            ("https://git.example.com/a b", false),
            ("", false),
        ];
        for (url, fine) in cases {
            assert_eq!(Address::of(url).is_ok(), fine, "{url}");
        }
    }

    #[test]
    fn only_the_same_scheme_host_and_port_is_told_the_token() {
        let own = Address::of("https://git.example.com/shop.git").unwrap();
        let cases = [
            ("https://git.example.com/", true),
            ("https://GIT.example.com:443/other", true),
            ("http://git.example.com/", false),
            ("https://git.example.com:8443/", false),
            ("https://evil.example.com/", false),
            ("https://git.example.com.evil.example.com/", false),
            ("https://git.example.com@evil.example.com/", false),
        ];
        for (url, covered) in cases {
            assert_eq!(own.covers(url), covered, "{url}");
        }
    }
}
