//! The arguments of the command that compares files.

use std::path::PathBuf;

use clap::Args;

use crate::application::Name;

/// Which manifests are held against which live objects.
#[derive(Clone, Debug, Args)]
pub struct Diff {
    /// Without asking a cluster: the only way that there is.
    #[arg(long, required = true)]
    pub offline: bool,
    /// A file or folder of live objects, as `kubectl get -o yaml --show-managed-fields` prints them; - is standard input.
    #[arg(value_name = "LIVE")]
    pub live: PathBuf,
    /// A file or folder of manifests; - is standard input.
    #[arg(value_name = "MANIFEST")]
    pub manifest: PathBuf,
    /// The application that the manifests are of. Default: of each object, the one that applied it.
    #[arg(long, value_name = "NAME", value_parser = super::name)]
    pub application: Option<Name>,
    /// The field manager that applies them, where it is not windlass.
    #[arg(long, value_name = "NAME", conflicts_with = "application")]
    pub manager: Option<String>,
    /// The namespace of manifests that name none.
    #[arg(long, default_value = "default")]
    pub namespace: String,
    /// The settings file, for the ignore rules of the application.
    #[arg(long, value_name = "FILE", requires = "application")]
    pub config: Option<PathBuf>,
    /// As JSON, one line for each manifest.
    #[arg(long)]
    pub json: bool,
}
