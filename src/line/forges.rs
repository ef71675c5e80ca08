//! The way to every forge, and from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::application::Application;
use crate::application::Name;
use crate::application::Target;
use crate::courier::App;
use crate::courier::Courier;
use crate::courier::Credential;
use crate::intake::Keys;
use crate::intake::Known;
use crate::recover::Hooks;
use crate::recover::Recoverer;
use crate::report::Address;
use crate::server::Guests;
use crate::settings::Settings;

/// The Apps of the forges that have one.
pub type Apps = BTreeMap<Name, App>;

/// Returns the Apps of the forges, as far as this process has their keys.
pub fn apps(settings: &Settings, courier: &Courier) -> Apps {
    let of = |forge: &crate::settings::Forge| {
        let app = forge.app.as_ref()?;
        Some(App::new(courier.clone(), forge.api.clone(), app.id.clone(), app.key.clone()))
    };
    settings.forges.iter().filter_map(|(name, forge)| Some((name.clone(), of(forge)?))).collect()
}

/// Returns by what right a forge is written to.
fn credential(name: &Name, forge: &crate::settings::Forge, apps: &Apps) -> Option<Credential> {
    let app = apps.get(name).cloned().map(Credential::App);
    app.or_else(|| forge.token.clone().map(Credential::Token))
}

/// Returns those who look after deliveries that failed, where that is asked for.
pub fn recoverers(settings: &Settings, apps: &Apps, courier: &Courier) -> Vec<(Name, Arc<Recoverer>)> {
    let of = |name: &Name, forge: &crate::settings::Forge| {
        let held = settings.sources.values().filter(|source| source.forge == *name);
        let hooks = Hooks {
            forge: name.clone(),
            kind: forge.kind,
            api: forge.api.clone(),
            url: forge.hook_url.clone()?,
            credential: credential(name, forge, apps)?,
            repositories: held.map(|source| source.repository.clone()).collect(),
        };
        Some((name.clone(), Arc::new(Recoverer::new(courier.clone(), hooks))))
    };
    settings.forges.iter().filter_map(|(name, forge)| of(name, forge)).collect()
}

/// Returns where the statuses of each source go.
pub fn addresses(settings: &Settings, apps: &Apps) -> BTreeMap<Name, Address> {
    let folders = |source: &Name| {
        let own = settings.applications.iter().filter(|application| application.source == *source);
        let read = |one: &Application, target: Target| (target.clone(), one.path_in(&target.cluster));
        own.flat_map(|one| one.targets().map(move |target| read(one, target))).collect()
    };
    let of = |name: &Name, one: &crate::settings::Source| {
        let forge = settings.forges.get(&one.forge)?;
        Some(Address {
            forge: forge.kind.rules(),
            api: forge.api.clone(),
            repository: one.repository.clone(),
            credential: credential(&one.forge, forge, apps),
            folders: folders(name),
        })
    };
    settings.sources.iter().filter_map(|(name, one)| Some((name.clone(), of(name, one)?))).collect()
}

/// Returns what is known of each forge at the door.
pub fn gates(settings: &Settings) -> BTreeMap<Name, Known> {
    let mut keys = keys(settings);
    let of = |(name, forge): (&Name, &crate::settings::Forge)| {
        let held = settings.sources.iter().filter(|(_, source)| source.forge == *name);
        let sources = held.map(|(name, source)| (name.clone(), source.repository.clone())).collect();
        let known = Known { kind: forge.kind, keys: keys.remove(name).unwrap_or_default(), sources };
        (name.clone(), known)
    };
    settings.forges.iter().map(of).collect()
}

/// Returns the secrets of the webhooks of each forge.
#[must_use]
pub fn keys(settings: &Settings) -> BTreeMap<Name, Keys> {
    let of = |(name, forge): (&Name, &crate::settings::Forge)| {
        let held = settings.sources.iter().filter(|(_, source)| source.forge == *name);
        let own = held.filter(|(_, source)| !source.webhook_secrets.is_empty());
        let own = own.map(|(name, source)| (name.clone(), source.webhook_secrets.clone())).collect();
        (name.clone(), Keys { shared: forge.webhook_secrets.clone(), own })
    };
    settings.forges.iter().map(of).collect()
}

/// Returns who may knock at the door, and how often.
#[must_use]
pub fn guests(settings: &Settings) -> Guests {
    let listed = settings.forges.iter().filter(|(_, forge)| !forge.allowed_from.is_empty());
    let allowed = listed.map(|(name, forge)| (name.clone(), forge.allowed_from.clone())).collect();
    Guests::new(settings.door.trusted_proxies.clone(), allowed, settings.door.unsigned)
}
