//! What keeps targets waiting for others: what they depend on, at the commit that they are to read.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::application::Application;
use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::select;
use crate::select::Memory;
use crate::source::Source;

use super::Dispatcher;
use super::Error;
use super::question::Question;

impl Dispatcher {
    /// Returns why targets of some applications, which follow the reference of a question, wait for others. What comes from
    /// the same reference must be healthy with what it reads at the `tip`, anything else with what it was last
    /// dispatched with. Costs nothing where none depends on another.
    pub(super) async fn awaited(
        &self,
        source: &Source,
        question: &Question<'_>,
        applications: &[&Application],
        tip: &CommitId,
    ) -> Result<BTreeMap<Target, String>, Error> {
        let needed: BTreeSet<Target> = applications
            .iter()
            .flat_map(|one| one.clusters.iter().flat_map(|cluster| one.dependencies(cluster)))
            .collect();
        if needed.is_empty() {
            return Ok(BTreeMap::new());
        }
        let named: BTreeSet<&Name> = needed.iter().map(|target| &target.application).collect();
        let theirs: Vec<&Application> =
            named.into_iter().filter_map(|name| self.applications.named(name)).collect();
        let sources: BTreeSet<&Name> = theirs.iter().map(|one| &one.source).collect();
        let mut memory: BTreeMap<Target, Memory> = BTreeMap::new();
        for source in sources {
            memory.extend(self.store.memory(source).await?.into_iter().map(|row| (row.target.clone(), row)));
        }
        let together =
            |one: &&Application| one.source == question.event.source && one.reference == *question.reference;
        let here: Vec<&Application> = theirs.into_iter().filter(together).collect();
        let wanted = |target: &Target| needed.contains(target);
        let candidates = self.candidates(source, &here, std::slice::from_ref(tip), wanted).await?;
        let reads = candidates.into_iter().filter_map(|one| {
            let inputs = one.inputs.into_iter().next()?;
            Some((one.target, (inputs, one.definition)))
        });
        Ok(select::awaited(applications, &memory, &reads.collect()))
    }
}
