//! The lists of those who may sign commits, from their files.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use toml::Table;
use toml::Value;

use crate::settings::reader::Section;
use crate::signer::Signers;

/// How large may a list be, in bytes?
const FILE_BYTES: u64 = 1 << 20;

/// The key of a source that names such a file.
const KEY: &str = "signed_by";

/// Reads the list that a source names; whatever is wrong with it is noted, by line.
pub fn signers(section: &mut Section<'_>, name: &'static str) -> Option<Arc<Signers>> {
    let path = section.path(name)?;
    let file = path.display();
    let text = contents(&path)
        .map_err(|why| section.wrong(name, format!("the file {file} cannot be read: {why}")))
        .ok()?;
    let read = Signers::read(&text).map_err(|wrong| {
        wrong.iter().for_each(|one| section.wrong(name, format!("the file {file}, {one}")));
    });
    read.ok().map(Arc::new)
}

fn contents(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(error.to_string()),
        Ok(bytes) if bytes as u64 > FILE_BYTES => Err(format!("it is larger than {FILE_BYTES} bytes")),
        Ok(_) => String::from_utf8(bytes)
            .map_err(|_| "it is no text; keys of OpenPGP are exported by gpg --armor --export".to_owned()),
    }
}

/// Returns the files of lists that a settings file in the folder `base` names.
pub fn files(base: &Path, table: &Table) -> Vec<PathBuf> {
    let sources = table.get("sources").and_then(Value::as_array);
    let named = sources.into_iter().flatten().filter_map(|source| source.get(KEY)?.as_str());
    named.map(|file| base.join(file)).collect()
}
