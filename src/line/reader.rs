//! Lets a source read as a GitHub App.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::courier::App;
use crate::fault::chain;
use crate::forge::github::app::Purpose;
use crate::secret::Secret;
use crate::source::NoToken;
use crate::source::Tokens;

/// An App as one repository's source knows it.
pub struct Reader {
    app: App,
    repository: String,
}

impl Reader {
    /// Takes an App and the repository that is to be read.
    pub fn of(app: &App, repository: &str) -> Arc<dyn Tokens> {
        Arc::new(Self { app: app.clone(), repository: repository.to_owned() })
    }
}

impl Tokens for Reader {
    fn token(&self) -> BoxFuture<'static, Result<Secret, NoToken>> {
        let (app, repository) = (self.app.clone(), self.repository.clone());
        let token = async move {
            let token = app.token(&repository, Purpose::Read).await;
            token.map_err(|error| NoToken { fault: error.fault(), why: chain(&error) })
        };
        token.boxed()
    }

    fn refused(&self, token: &Secret) {
        self.app.forget(&self.repository, Purpose::Read, token);
    }
}
