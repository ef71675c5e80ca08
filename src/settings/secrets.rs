//! Secrets, from where the settings say they are.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use toml::Table;
use toml::Value;

use crate::courier::Key;
use crate::secret::Secret;
use crate::settings::checks;
use crate::settings::reader::Environment;
use crate::settings::reader::Section;
use crate::settings::signers;

/// How large may the file of a secret be, in bytes?
const FILE_BYTES: u64 = 64 << 10;

/// How many secrets may a webhook have?
const SECRETS: usize = 8;

/// A GitHub App.
#[derive(Clone, Debug)]
pub struct App {
    /// Its id or client id.
    pub id: String,
    /// Its private key.
    pub key: Key,
}

/// Reads one secret; whatever is wrong is noted, and never shows a value.
pub fn one(section: &mut Section<'_>, name: &'static str, environment: &Environment) -> Option<Secret> {
    let (value, base) = section.any(name)?;
    let read = read(&value, &base, environment).map_err(|message| section.wrong(name, message)).ok();
    read.map(|(secret, _)| secret)
}

/// Reads the URL of a server, which is a secret as soon as it holds a password: then it stands where secrets do. The
/// inner nothing is an empty one.
#[expect(clippy::option_option, reason = "wrong, empty, and a URL are three answers")]
pub fn url(
    section: &mut Section<'_>,
    name: &'static str,
    schemes: &[&str],
    environment: &Environment,
) -> Option<Option<Secret>> {
    let (value, base) = section.any(name)?;
    let read = match &value {
        Value::String(text) if text.is_empty() => return Some(None),
        Value::String(text) if checks::holds_password(text) && !section.is_environment(name) => {
            Err("must not hold a password: give it as { env = \"NAME\" } or { file = \"path\" }".to_owned())
        }
        Value::String(text) => Ok(Secret::address(text)),
        Value::Table(_)
        | Value::Array(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => read(&value, &base, environment).map(|(secret, _)| secret),
    };
    let fits = |url: &Secret| schemes.iter().any(|scheme| url.expose().starts_with(scheme));
    let read = read.and_then(|url| {
        if fits(&url) { Ok(url) } else { Err(format!("must start with {}", schemes.join(" or "))) }
    });
    read.map_err(|message| section.wrong(name, message)).ok().map(Some)
}

/// Reads the file of an authority's certificates, where one is given. The inner nothing is none.
#[expect(clippy::option_option, reason = "wrong, none, and a certificate are three answers")]
pub fn authority(section: &mut Section<'_>, name: &'static str) -> Option<Option<String>> {
    if section.any(name)?.0.as_str() == Some("") {
        return Some(None);
    }
    let path = section.path(name)?;
    let read = contents(&path).and_then(|text| {
        let fine = text.contains("-----BEGIN CERTIFICATE-----");
        if fine { Ok(text) } else { Err(format!("the file {} holds no certificate in PEM", path.display())) }
    });
    read.map_err(|message| section.wrong(name, message)).ok().map(Some)
}

/// Reads a GitHub App, `{ id = "…", key = … }`; whatever is wrong is noted, and never shows the key.
pub fn app(section: &mut Section<'_>, name: &'static str, environment: &Environment) -> Option<App> {
    let (value, base) = section.any(name)?;
    let table = value.as_table().filter(|table| table.len() == 2);
    let parts = table.and_then(|table| Some((table.get("id")?.as_str()?, table.get("key")?)));
    let Some((id, key)) = parts else {
        section.wrong(name, "must be { id = \"its id\", key = { file = \"path\" } }: two keys and no others");
        return None;
    };
    if !checks::is_app_id(id) {
        section.wrong(
            &format!("{name}.id"),
            "must be the App's id or client id, as its page at GitHub shows it",
        );
        return None;
    }
    let read = read(key, &base, environment)
        .and_then(|(secret, from)| Key::read(&secret).map_err(|error| format!("{from} {error}")));
    let key = read.map_err(|message| section.wrong(&format!("{name}.key"), message)).ok()?;
    Some(App { id: id.to_owned(), key })
}

/// Reads the secrets of a webhook, each of which `vet` must find good: at least one, for an empty list would have to
/// accept anybody or nobody.
pub fn several(
    section: &mut Section<'_>,
    name: &'static str,
    environment: &Environment,
    vet: impl Fn(&Secret) -> Result<(), &'static str>,
) -> Vec<Secret> {
    let base = section.any(name).map(|(_, base)| base).unwrap_or_default();
    let values = section.list(name).unwrap_or_default();
    if values.is_empty() || values.len() > SECRETS {
        section.wrong(
            name,
            format!("must have 1 to {SECRETS} of {{ env = \"NAME\" }} or {{ file = \"path\" }}"),
        );
    }
    let mut secrets = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let vetted = read(value, &base, environment).and_then(|(secret, from)| match vet(&secret) {
            Ok(()) => Ok(secret),
            Err(why) => Err(format!("{from} {why}")),
        });
        match vetted {
            Ok(secret) => secrets.push(secret),
            Err(message) => section.wrong(&format!("{name}[{index}]"), message),
        }
    }
    secrets
}

/// Returns a settings file and the files of secrets and of lists of signers that it names. A `file` alone in a table is one, wherever it stands.
pub fn files(path: &Path, table: &Table) -> BTreeSet<PathBuf> {
    let base = path.parent().unwrap_or(Path::new(""));
    let mut files = BTreeSet::from([path.to_path_buf()]);
    files.extend(signers::files(base, table));
    let mut values: Vec<&Value> = table.values().collect();
    while let Some(value) = values.pop() {
        match value {
            Value::Array(items) => values.extend(items),
            Value::Table(table) => {
                let alone = table.get("file").filter(|_| table.len() == 1);
                files.extend(alone.and_then(Value::as_str).map(|file| base.join(file)));
                values.extend(table.values());
            }
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => {}
        }
    }
    files
}

/// Reads a secret, and returns it with words for where it was found.
fn read(value: &Value, base: &Path, environment: &Environment) -> Result<(Secret, String), String> {
    const SHAPE: &str = "must be { env = \"NAME\" } or { file = \"path\" }; secrets do not stand in settings";
    let table = value.as_table().filter(|table| table.len() == 1).ok_or(SHAPE)?;
    let (name, at) = table.iter().next().ok_or(SHAPE)?;
    let at = at.as_str().filter(|at| !at.is_empty()).ok_or(SHAPE)?;
    let (text, from) = match name.as_str() {
        "env" => {
            let text =
                environment.get(at).ok_or_else(|| format!("the environment variable {at} is not set"))?;
            (text.clone(), format!("the environment variable {at}"))
        }
        "file" => {
            let path = base.join(at);
            (contents(&path)?, format!("the file {}", path.display()))
        }
        _ => return Err(SHAPE.to_owned()),
    };
    match Secret::new(&text) {
        Ok(secret) => Ok((secret, from)),
        Err(error) => Err(format!("{from} {error}")),
    }
}

fn contents(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES + 1).read_to_string(&mut text));
    match read {
        Err(error) => Err(format!("the file {} cannot be read: {error}", path.display())),
        Ok(bytes) if bytes as u64 > FILE_BYTES => {
            Err(format!("the file {} is larger than {FILE_BYTES} bytes: it is no secret", path.display()))
        }
        Ok(_) => Ok(text),
    }
}

#[cfg(test)]
pub mod tests;
