//! The way to a collector, which is no forge: no token, no pace, and nothing is read but whether it took what it was given.

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;

use super::Courier;
use super::Error;
use super::scrubbed;

impl Courier {
    /// Hands what windlass says about itself in at a collector, which most often is near, and returns the status code.
    ///
    /// # Errors
    /// The collector gave no answer within 10 s, or its address cannot be asked.
    pub async fn hand_in(&self, url: &str, kind: &'static str, body: Vec<u8>) -> Result<u16, Error> {
        let address = Url::parse(url).ok().filter(Url::has_host);
        let address = address.ok_or_else(|| Error::Address { url: scrubbed(url) })?;
        let host = address.host_str().unwrap_or_default().to_owned();
        let sent = self.private.post(address).header(CONTENT_TYPE, kind).body(body).send().await;
        let response = sent.map_err(|source| Error::Collector { host, source: source.without_url() })?;
        Ok(response.status().as_u16())
    }
}
