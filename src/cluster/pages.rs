//! Lists, page by page.

use kube::core::Request;
use kube::core::params::ListParams;
use serde_json::Value;

use super::Answer;
use super::Cluster;

/// How many objects does a page hold?
const PAGE: u32 = 500;

/// How many pages may a list have?
const PAGES: usize = 200;

/// A list that is read a page at a time; all pages show the same moment.
pub(super) struct Pages<'a> {
    cluster: &'a Cluster,
    url: &'a str,
    /// What the next page is asked with; nothing after the last one.
    params: Option<ListParams>,
    read: usize,
    /// Is only the objects' metadata wanted?
    metadata: bool,
    /// The version of the cluster that the pages show, empty before the first.
    pub(super) version: String,
}

impl Cluster {
    /// Prepares a list, of whole objects or of their metadata alone; nothing is sent yet.
    pub(super) fn pages<'a>(&'a self, url: &'a str, params: ListParams, metadata: bool) -> Pages<'a> {
        let params = Some(params.limit(PAGE));
        Pages { cluster: self, url, params, read: 0, metadata, version: String::new() }
    }
}

impl Pages<'_> {
    /// Reads the next page; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Value>>, Answer> {
        let Some(params) = self.params.take() else { return Ok(None) };
        if self.read >= PAGES {
            return Err(Answer::Unreachable(format!("the list has more than {PAGES} pages of {PAGE}")));
        }
        self.read += 1;
        let request = Request::new(self.url);
        let request = if self.metadata { request.list_metadata(&params) } else { request.list(&params) };
        let mut page = self.cluster.send(request).await?;
        let text = |pointer| page.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        self.version = text("/metadata/resourceVersion");
        let token = text("/metadata/continue");
        self.params =
            Some(token).filter(|token| !token.is_empty()).map(|token| params.continue_token(&token));
        match page.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(Some(items)),
            // Go writes a list of nothing as null.
            Some(Value::Null) => Ok(Some(Vec::new())),
            _ => Err(Answer::Unreachable("its answer is no list".to_owned())),
        }
    }
}
