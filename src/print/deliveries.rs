//! `windlass deliveries`, and what `windlass explain` says of a delivery.

use std::process::ExitCode;

use anyhow::Context;
use windlass::application::Name;
use windlass::cli::Deliveries;
use windlass::explanation::Considered;
use windlass::explanation::Heard;
use windlass::explanation::LedTo;
use windlass::role::Part;
use windlass::store::Store;

use super::WRONG;
use super::explain;
use super::load;
use super::out;
use super::store_of;
use super::time;

/// Prints the last deliveries.
pub async fn deliveries(asked: &Deliveries) -> anyhow::Result<ExitCode> {
    let Some(settings) = load(asked.config.as_deref(), &Part::none())? else {
        return Ok(ExitCode::from(WRONG));
    };
    let forge = asked.forge.as_deref().map(Name::parse).transpose().context("read --forge")?;
    let deliveries = store_of(&settings).await?.deliveries(forge.as_ref(), asked.limit).await?;
    if asked.json {
        for one in &deliveries {
            out(&format!("{}\n", serde_json::to_string(one).context("print a delivery")?))?;
        }
    } else if deliveries.is_empty() {
        out("No deliveries yet.\n")?;
    } else {
        out(&format!(
            "{:<20}  {:<12}  {:<36}  {:<14}  WHAT IT LED TO\n",
            "WHEN", "FORGE", "DELIVERY", "EVENT"
        ))?;
        deliveries.iter().try_for_each(|one| out(&as_line(one)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn as_line(one: &Heard) -> String {
    let led_to = match &one.led_to {
        LedTo::Accepted { .. } => format!("{}{}", one.read, by(one)),
        LedTo::Ignored { why } => format!("nothing: {why}"),
    };
    let (when, forge) = (time(one.received_at), one.forge.as_str());
    format!("{when:<20}  {forge:<12}  {:<36}  {:<14}  {led_to}\n", one.delivery, one.event)
}

fn by(one: &Heard) -> String {
    one.by.as_ref().map(|who| format!(", by {who}")).unwrap_or_default()
}

/// Prints all that is known of a delivery, and of the commits that it led to.
pub async fn one(store: &Store, heard: &Heard) -> anyhow::Result<()> {
    out(&as_heard(heard))?;
    let LedTo::Accepted { events } = &heard.led_to else { return Ok(()) };
    for (event, source) in events {
        let Some(considered) = store.considered(event).await? else {
            out(&format!("\nsource {source}: event {event} was not looked at yet, or that is forgotten\n"))?;
            continue;
        };
        out(&as_considered(&considered))?;
        for commit in &considered.commits {
            out("\n")?;
            explain::commit(store, source, commit).await?;
        }
    }
    Ok(())
}

fn as_heard(one: &Heard) -> String {
    let Heard { delivery, forge, hook, event, from, headers, secret, read, led_to, received_at, .. } = one;
    let (when, number) = (time(*received_at), secret + 1);
    let hook = hook.as_ref().map(|source| format!("/{source}")).unwrap_or_default();
    let mut text = format!("delivery {delivery} at {when}, event {event}{}\n", by(one));
    text += &format!("  from {from} to the webhook {forge}{hook}, signed with its secret number {number}\n");
    for (name, value) in headers {
        text += &format!("    {name}: {value}\n");
    }
    text + &match led_to {
        LedTo::Accepted { events } => {
            format!("  read as a {read}\n  accepted: events {}\n", events.len())
        }
        LedTo::Ignored { why } => format!("  ignored: {why}\n"),
    }
}

fn as_considered(considered: &Considered) -> String {
    let Considered { event, source, end, decisions, more, .. } = considered;
    let mut text = format!("\nsource {source}, event {event}\n  {end}\n");
    for one in decisions {
        let mark = if one.touched { '+' } else { '-' };
        text += &format!("  {mark} {}: {}\n", one.subject, one.why);
    }
    if *more > 0 {
        text += &format!("  and {more} more\n");
    }
    text
}
