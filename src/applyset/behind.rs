//! Applications that left the settings, and whose objects are still there.

use std::collections::BTreeSet;

use crate::application::Name;
use crate::application::Target;

use super::Parent;
use super::application;

/// Returns the target that was left behind, where a parent in `cluster` is one of this installation whose application is not
/// `declared` for that cluster any more.
#[must_use]
pub fn left_behind(
    parent: &Parent,
    installation: &str,
    cluster: &Name,
    declared: &BTreeSet<Target>,
) -> Option<Target> {
    let fence = &parent.fence;
    let ours = fence.installation.is_empty() || fence.installation == installation;
    let here = fence.cluster.is_empty() || fence.cluster == cluster.as_str();
    let target = Target { application: application(&parent.name)?, cluster: cluster.clone() };
    (ours && here && !declared.contains(&target)).then_some(target)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::left_behind;
    use crate::application::Name;
    use crate::application::Target;
    use crate::applyset::Parent;

    #[test]
    fn what_was_left_behind_by_table() {
        let name = |text: &str| Name::parse(text).unwrap();
        let target = |text: &str| Target::from_context(&format!("windlass/{text}")).unwrap();
        let declared: BTreeSet<Target> = ["blog@east", "shop@west"].map(target).into();
        // the parent's name, the installation and the cluster that it says → what was left behind
        for (parent, installation, cluster, expected) in [
            ("windlass-shop", "home", "east", Some("shop@east")),
            ("windlass-shop", "", "", Some("shop@east")),
            ("windlass-blog", "home", "east", None),
            ("windlass-shop", "other", "east", None),
            ("windlass-shop", "home", "orient", None),
            ("somebody", "home", "east", None),
            ("windlass-No", "home", "east", None),
        ] {
            let mut found = Parent::absent(&name("any"), "windlass");
            parent.clone_into(&mut found.name);
            installation.clone_into(&mut found.fence.installation);
            cluster.clone_into(&mut found.fence.cluster);
            let behind = left_behind(&found, "home", &name("east"), &declared);
            assert_eq!(behind, expected.map(target), "{parent} {installation} {cluster}");
        }
    }
}
