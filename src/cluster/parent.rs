//! The parent object of an application: reading it, and replacing it only as it was read.

use kube::core::DynamicObject;
use kube::core::Request;
use kube::core::Resource;
use kube::core::params::DeleteParams;
use kube::core::params::GetParams;
use kube::core::params::ListParams;
use kube::core::params::PostParams;
use kube::core::params::Preconditions;
use kube::discovery::ApiResource;
use serde_json::Value;
use serde_json::json;

use super::Answer;
use super::Cluster;
use super::Error;
use crate::application::Name;
use crate::applyset::Parent;
use crate::applyset::parent_name;
use crate::member::SET;
use crate::object::Live;

impl Cluster {
    /// Reads the parent of an application; one that is not there yet is [`Parent::absent`].
    ///
    /// # Errors
    /// A cluster that does not answer, or that does not let windlass read in its own namespace.
    pub async fn parent(&self, application: &Name) -> Result<Parent, Error> {
        let name = parent_name(application);
        let what = || format!("ConfigMap/{}/{name}", self.namespace());
        let answer = self.send(self.config_maps().get(&name, &GetParams::default())).await;
        match answer.map(Live::read) {
            Ok(Some(live)) => Ok(Parent::read(&live)),
            Ok(None) => {
                let answer = Answer::Unreachable("its answer is no object".to_owned());
                Err(Error::Read { what: what(), answer })
            }
            Err(answer) if answer.is_not_found() => Ok(Parent::absent(application, self.namespace())),
            Err(answer) => Err(Error::Read { what: what(), answer }),
        }
    }

    /// Lists the parents of all applications in this cluster.
    ///
    /// # Errors
    /// As [`Cluster::parent`].
    pub async fn parents(&self) -> Result<Vec<Parent>, Error> {
        Ok(self.parents_up_to(usize::MAX).await?.unwrap_or_default())
    }

    /// Lists the parents of all applications in this cluster, where they are not more than `most`; `None` where they are.
    ///
    /// # Errors
    /// As [`Cluster::parent`].
    pub async fn parents_up_to(&self, most: usize) -> Result<Option<Vec<Parent>>, Error> {
        let resource = ApiResource::erase::<k8s_openapi::api::core::v1::ConfigMap>(&());
        let url = DynamicObject::url_path(&resource, Some(self.namespace()));
        let mut pages = self.pages(&url, ListParams::default().labels(SET), false);
        let mut found = Vec::new();
        loop {
            let page =
                pages.next().await.map_err(|answer| Error::List { what: "parents".to_owned(), answer })?;
            let Some(items) = page else { return Ok(Some(found)) };
            if found.len().saturating_add(items.len()) > most {
                return Ok(None);
            }
            // Items of a list do not say what they are.
            found.extend(items.into_iter().filter_map(|mut item| {
                let fields = item.as_object_mut()?;
                fields.insert("apiVersion".to_owned(), json!("v1"));
                fields.insert("kind".to_owned(), json!("ConfigMap"));
                Live::read(item).map(|live| Parent::read(&live))
            }));
        }
    }

    /// Writes a parent at the version that it was read at, and returns it with its new version.
    ///
    /// # Errors
    /// A conflict when anybody wrote it since; the cluster's refusal; no answer.
    pub async fn fence(&self, parent: &Parent) -> Result<Parent, Error> {
        match self.write_parent(parent).await {
            Err(answer) if answer.is_not_found() && parent.resource_version.is_none() => {
                self.own_namespace().await.map_err(|answer| self.unfenced(parent, answer))?;
                self.write_parent(parent).await
            }
            answer => answer,
        }
        .map_err(|answer| self.unfenced(parent, answer))
    }

    /// Deletes a parent at the version that it was read at. One that is gone already is gone.
    ///
    /// # Errors
    /// A conflict when anybody wrote it since; the cluster's refusal; no answer.
    pub async fn delete_parent(&self, parent: &Parent) -> Result<(), Error> {
        let resource_version = parent.resource_version.clone();
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: None, resource_version }),
            ..DeleteParams::default()
        };
        match self.send(self.config_maps().delete(&parent.name, &params)).await {
            Ok(_) => Ok(()),
            Err(answer) if answer.is_not_found() => Ok(()),
            Err(answer) => {
                let what = format!("ConfigMap/{}/{}", parent.namespace, parent.name);
                Err(Error::Delete { what, answer })
            }
        }
    }

    fn unfenced(&self, parent: &Parent, answer: Answer) -> Error {
        Error::Fence { what: format!("ConfigMap/{}/{}", parent.namespace, parent.name), answer }
    }

    async fn write_parent(&self, parent: &Parent) -> Result<Parent, Answer> {
        let body = parent.write().to_string().into_bytes();
        let params = PostParams { field_manager: Some("windlass".to_owned()), ..PostParams::default() };
        let request = match &parent.resource_version {
            Some(_) => self.config_maps().replace(&parent.name, &params, body),
            None => self.config_maps().create(&params, body),
        };
        let written = self.send(request).await?;
        let live = Live::read(written);
        live.map(|live| Parent::read(&live))
            .ok_or_else(|| Answer::Unreachable("its answer is no object".to_owned()))
    }

    /// Creates windlass's own namespace, which the first pass in a cluster finds missing.
    async fn own_namespace(&self) -> Result<Value, Answer> {
        let body =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": self.namespace() } });
        let request =
            Request::new("/api/v1/namespaces").create(&PostParams::default(), body.to_string().into_bytes());
        match self.send(request).await {
            // Another pass was quicker.
            Err(answer) if answer.is_conflict() => Ok(Value::Null),
            answer => answer,
        }
    }

    fn config_maps(&self) -> Request {
        let resource = ApiResource::erase::<k8s_openapi::api::core::v1::ConfigMap>(&());
        Request::new(DynamicObject::url_path(&resource, Some(self.namespace())))
    }
}
