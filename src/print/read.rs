//! `windlass read`: what a webhook's body would be read as, offline.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;
use windlass::cli::Read as Asked;
use windlass::clock::now;
use windlass::commit::CommitId;
use windlass::event::Hint;
use windlass::event::Push;
use windlass::forge::Kind;
use windlass::forge::Request;
use windlass::forge::payload_of_form;
use windlass::secret::Secret;

use super::FILE_BYTES;
use super::bounded;
use super::out;

/// Only a signed delivery is read, so the body is signed with this on the way; it opens nothing.
const OWN_SECRET: &str = "signed here, to be read here";

/// Prints what a body would be read as.
pub fn read(asked: &Asked) -> anyhow::Result<ExitCode> {
    let rules = Kind::from_word(&asked.forge).context("read --forge")?.rules();
    let body = if asked.file == Path::new("-") { standard_input()? } else { bounded(&asked.file)? };
    let body = if asked.form {
        payload_of_form(&body).context("read the form: it has no field payload, or more than one")?
    } else {
        body
    };
    let secret = Secret::new(OWN_SECRET)?;
    let now = now();
    let headers = rules.sign(&asked.event, "offline", &body, &secret, now);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let request = Request { headers: &headers, body: &body, now };
    let Some(delivery) = rules.verify(&request, std::slice::from_ref(&secret)) else {
        bail!("read the body: the event's name does not fit into a header");
    };
    out(&in_words(&rules.read(&delivery)))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn standard_input() -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    std::io::stdin().take(FILE_BYTES + 1).read_to_end(&mut body).context("read standard input")?;
    if body.len() as u64 > FILE_BYTES {
        bail!("read standard input: it has more than {FILE_BYTES} bytes");
    }
    Ok(body)
}

fn in_words(hint: &Hint) -> String {
    let told = match hint {
        Hint::Ignored { why } => format!("ignored      {why}\n"),
        Hint::PullRequest(_) | Hint::Rerun(_) => format!("{hint}\n"),
        Hint::Push(Push { repository, reference, before, after, forced }) => {
            let or = |id: &Option<CommitId>, none: &str| {
                id.as_ref().map_or_else(|| none.to_owned(), ToString::to_string)
            };
            let before = or(before, "nothing: the ref is new, or the forge does not say");
            let after = or(after, "nothing: the ref was deleted");
            let forced = if *forced { "forced       the forge says so\n" } else { "" };
            format!(
                "push\nrepository   {repository}\nref          {reference}\nbefore       {before}\nafter        {after}\n{forced}"
            )
        }
    };
    format!(
        "{told}No signature was checked. What is deployed is the tip of the ref, whatever a delivery says.\n"
    )
}
