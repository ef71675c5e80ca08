//! Whether objects stay the same ones while they are declared, whichever application declares them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::objects::Key;
use crate::play::Play;

impl Play {
    /// Makes sure that what was declared all the time is still the same object, and notes what is there.
    pub(super) async fn recognise(&mut self) {
        let there = self.there().await;
        for (key, uid) in &self.uids {
            let now = there.get(key);
            // What somebody gave to others, or is forbidden, may be away for a while, but never another one.
            assert!(
                now.is_none_or(|now| now == uid),
                "{key:?} was made anew, although it never left the branch"
            );
        }
        self.uids.extend(there);
    }

    /// Returns the declared objects that are there to stay.
    async fn there(&self) -> BTreeMap<Key, Value> {
        let look = async |key: Key| {
            let live = self.stage.kube.find(&key.path(&self.stage.names)).await?;
            let metadata = &live["metadata"];
            metadata["deletionTimestamp"].is_null().then(|| (key, metadata["uid"].clone()))
        };
        let looks = self.branch.objects.keys().map(|key| look(*key));
        futures::future::join_all(looks).await.into_iter().flatten().collect()
    }
}
