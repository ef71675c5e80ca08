//! Settings of a windlass that reads one repository at a Gitea, written down.

/// What stands in them. Names of secrets are TOML: `{ env = "SECRET" }` or `{ file = "path" }`.
pub struct Plan<'a> {
    /// Sections in single brackets, before all else.
    pub sections: &'a str,
    /// Where Gitea is reached.
    pub gitea: &'a str,
    /// The repository of the source `code`, as `owner/name`.
    pub repository: &'a str,
    /// The secret of the webhook, and the token that posts and reads.
    pub secret: &'a str,
    pub token: &'a str,
    /// The clusters, each with its kubeconfig.
    pub clusters: &'a [(&'a str, &'a str)],
    /// The name of windlass's own namespace.
    pub installation: &'a str,
    /// The namespace of objects that name none.
    pub namespace: &'a str,
}

/// For secrets that are given in the environment, as `SECRET` and `TOKEN`.
pub const SECRET: &str = r#"{ env = "SECRET" }"#;
pub const TOKEN: &str = r#"{ env = "TOKEN" }"#;

impl Plan<'_> {
    /// Writes all but the applications.
    pub fn text(&self) -> String {
        let Self { sections, gitea, repository, secret, token, clusters, installation, .. } = self;
        let mut text = format!(
            "{sections}\n[[forges]]\nname = \"gitea\"\nkind = \"gitea\"\nprivate = true\nurl = \"{gitea}\"\n\
             webhook_secrets = [{secret}]\ntoken = {token}\nread_token = {token}\n\
             [[sources]]\nname = \"code\"\nforge = \"gitea\"\nrepository = \"{repository}\"\n"
        );
        for (name, kubeconfig) in *clusters {
            text += &format!(
                "[[clusters]]\nname = \"{name}\"\nkubeconfig = \"{kubeconfig}\"\nnamespace = \"{installation}\"\n"
            );
        }
        text
    }

    /// Writes an application: what it follows, where it belongs, and more settings of it, a line each.
    pub fn application(&self, name: &str, follows: &str, clusters: &[&str], lines: &str) -> String {
        let namespace = self.namespace;
        format!(
            "[[applications]]\nname = \"{name}\"\nsource = \"code\"\n{follows}\nclusters = {clusters:?}\n\
             namespace = \"{namespace}\"\n{lines}\n"
        )
    }
}
