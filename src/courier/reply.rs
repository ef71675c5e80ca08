//! What came back, as the rules of a forge read it.

use reqwest::Response;

use crate::courier::now;
use crate::forge::HttpAnswer;
use crate::moment::Moment;

/// An answer that was read.
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    now: Moment,
}

impl Reply {
    /// Takes the head of an answer, and as much of its body as was read. Headers that are no text are left out.
    pub fn of(response: &Response, body: Vec<u8>) -> Self {
        let headers = response
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
        Self { status: response.status().as_u16(), headers: headers.collect(), body, now: now() }
    }

    /// Lets a rule read it.
    pub fn read<T>(&self, rule: impl FnOnce(&HttpAnswer<'_>) -> T) -> T {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        rule(&HttpAnswer { status: self.status, headers: &headers, body: &self.body, now: self.now })
    }
}
