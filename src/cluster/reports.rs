//! What the definition of a kind promises to report.

use kube::core::DynamicObject;
use kube::core::Request;
use kube::core::Resource;
use kube::core::params::GetParams;
use kube::discovery::ApiResource;

use super::Cluster;
use super::Error;
use super::Kinds;
use crate::health::has_conditions;
use crate::object::group_and_version;

impl Cluster {
    /// Returns whether the definition of a kind has conditions in its status. A kind is asked about once, until kinds
    /// are discovered anew. One without a definition, or whose definition windlass may not read, promises nothing.
    ///
    /// # Errors
    /// A cluster that does not answer.
    pub async fn reports(&self, kinds: &Kinds, api_version: &str, kind: &str) -> Result<bool, Error> {
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some(known) = self.reports.read().await.get(&key) {
            return Ok(*known);
        }
        let Some(entry) = kinds.known(api_version, kind) else { return Ok(false) };
        let (group, version) = group_and_version(api_version);
        let name = format!("{}.{group}", entry.resource.plural);
        let answer = self.send(Request::new(definitions()).get(&name, &GetParams::default())).await;
        let reports = match answer {
            Ok(definition) => has_conditions(&definition, version),
            Err(answer) if answer.is_not_found() || answer.is_forbidden() => false,
            Err(answer) => {
                return Err(Error::Read { what: format!("CustomResourceDefinition/{name}"), answer });
            }
        };
        let _before = self.reports.write().await.insert(key, reports);
        Ok(reports)
    }
}

fn definitions() -> String {
    let definition = ApiResource {
        group: "apiextensions.k8s.io".to_owned(),
        version: "v1".to_owned(),
        api_version: "apiextensions.k8s.io/v1".to_owned(),
        kind: "CustomResourceDefinition".to_owned(),
        plural: "customresourcedefinitions".to_owned(),
    };
    DynamicObject::url_path(&definition, None)
}
