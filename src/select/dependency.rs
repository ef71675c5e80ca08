//! What must be healthy before what: applications that depend on others, target by target.

use std::collections::BTreeMap;

use crate::application::Application;
use crate::application::Target;
use crate::commit::Inputs;

use super::Memory;
use super::State;

/// Returns what is wrong with what applications depend on, one line for each: a target that nobody declares, or a circle.
#[must_use]
pub fn refused(applications: &[Application]) -> Vec<String> {
    let needs: BTreeMap<Target, Vec<Target>> = applications.iter().flat_map(needs_of).collect();
    let mut wrong: Vec<String> = Vec::new();
    for (target, needed) in &needs {
        for missing in needed.iter().filter(|one| !needs.contains_key(*one)) {
            wrong.push(format!(
                "{target} depends on {missing}, and no application is declared for that cluster by that name"
            ));
        }
    }
    wrong.extend(circle(&needs));
    wrong
}

fn needs_of(application: &Application) -> impl Iterator<Item = (Target, Vec<Target>)> + '_ {
    application.targets().map(|target| {
        let needed = application.dependencies(&target.cluster).collect();
        (target, needed)
    })
}

/// Returns the first circle in words, if there is one: targets that nobody waits for are taken away until none is left, or
/// only such as wait for each other.
fn circle(needs: &BTreeMap<Target, Vec<Target>>) -> Option<String> {
    let mut left: BTreeMap<&Target, &Vec<Target>> = needs.iter().collect();
    loop {
        let free = |needed: &&Vec<Target>| !needed.iter().any(|one| left.contains_key(one));
        let ready: Vec<&Target> =
            left.iter().filter(|(_, needed)| free(needed)).map(|(one, _)| *one).collect();
        if ready.is_empty() {
            break;
        }
        left.retain(|one, _| !ready.contains(one));
    }
    // Whoever is left waits for somebody who is left, so that this walk comes back to where it was.
    let mut walk: Vec<&Target> = left.keys().take(1).copied().collect();
    while let Some(next) =
        left.get(walk.last()?).and_then(|all| all.iter().find(|one| left.contains_key(one)))
    {
        let begun = walk.iter().position(|one| *one == next);
        walk.push(next);
        if let Some(round) = begun.and_then(|begun| walk.get(begun..)) {
            let names: Vec<String> = round.iter().map(ToString::to_string).collect();
            return Some(format!(
                "these wait for each other, so that none could begin: {}",
                names.join(" → ")
            ));
        }
    }
    None
}

/// Returns why targets of some applications must wait, as one line for each that must: something that they depend on did
/// not end healthy with what it was last dispatched with, or `reads` something else by now. `reads` knows only what is read
/// from where the commit in question is; of the others, what was dispatched last counts.
#[must_use]
pub fn awaited(
    applications: &[&Application],
    memory: &BTreeMap<Target, Memory>,
    reads: &BTreeMap<Target, (Inputs, u64)>,
) -> BTreeMap<Target, String> {
    let mut waiting = BTreeMap::new();
    for (target, needed) in applications.iter().flat_map(|one| needs_of(one)) {
        let why = needed.iter().find_map(|one| unready(one, memory.get(one), reads.get(one)));
        waiting.extend(why.map(|why| (target, why)));
    }
    waiting
}

fn unready(target: &Target, row: Option<&Memory>, reads: Option<&(Inputs, u64)>) -> Option<String> {
    let Some(row) = row else { return Some(format!("nothing was applied to {target} yet")) };
    let moved =
        reads.is_some_and(|(inputs, definition)| row.inputs != *inputs || row.definition != *definition);
    let commit = row.commit.short();
    match row.state {
        _ if moved => Some(format!("{target} is to be made as the commit declares it first")),
        State::Closed => None,
        State::Open => Some(format!("{target} is not healthy at {commit} yet")),
        State::Failed => Some(format!("{target} failed at {commit}")),
        State::RolledBack => Some(format!("{target} was rolled back from {commit}")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::awaited;
    use super::refused;
    use crate::application::Application;
    use crate::application::Dependency;
    use crate::application::Name;
    use crate::application::Target;
    use crate::commit::CommitId;
    use crate::commit::Inputs;
    use crate::reference::Reference;
    use crate::select::Memory;
    use crate::select::State;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn target(text: &str) -> Target {
        Target::from_context(&format!("windlass/{text}")).unwrap()
    }

    fn application(of: &str, clusters: &[&str], needs: &[&str]) -> Application {
        let clusters: Vec<Name> = clusters.iter().copied().map(name).collect();
        let depends_on = needs.iter().map(|text| {
            let (application, cluster) =
                text.split_once('@').map_or((*text, None), |(a, c)| (a, Some(name(c))));
            Dependency { application: name(application), cluster }
        });
        Application {
            name: name(of),
            clusters,
            depends_on: depends_on.collect(),
            ..serde_json::from_str(
                r#"{"name":"a","source":"code","ref":"refs/heads/main","path":"","clusters":[],
                "namespace":"shop","prune":true,"health_deadline_ms":300000}"#,
            )
            .unwrap()
        }
    }

    #[test]
    fn circles_and_what_nobody_declares_are_refused_by_table() {
        // applications, each as name, clusters, dependencies → what is said
        type Declared = (&'static str, &'static [&'static str], &'static [&'static str]);
        let cases: [(&[Declared], &[&str]); 9] = [
            (&[("shop", &["east"], &["db"]), ("db", &["east"], &[])], &[]),
            (&[("shop", &["east"], &["db"])], &["shop@east depends on db@east, and no application"]),
            (&[("shop", &["east"], &["db"]), ("db", &["west"], &[])], &["shop@east depends on db@east"]),
            (&[("shop", &["east"], &["db@west"]), ("db", &["west"], &[])], &[]),
            (&[("shop", &["east"], &["shop"])], &["none could begin: shop@east → shop@east"]),
            // An application may depend on itself elsewhere: one cluster after the other.
            (&[("shop", &["east", "west"], &["shop@east"])], &["none could begin: shop@east → shop@east"]),
            (&[("a", &["east"], &["b"]), ("b", &["east"], &["a"])], &["a@east → b@east → a@east"]),
            (
                &[
                    ("a", &["east"], &["b"]),
                    ("b", &["east"], &["c"]),
                    ("c", &["east"], &["d", "b"]),
                    ("d", &["east"], &[]),
                ],
                &["b@east → c@east → b@east"],
            ),
            (&[("a", &["east", "west"], &["b"]), ("b", &["east", "west"], &[])], &[]),
        ];
        for (declared, expected) in cases {
            let all: Vec<_> =
                declared.iter().map(|(of, clusters, needs)| application(of, clusters, needs)).collect();
            let said = refused(&all);
            let fits = said.len() == expected.len()
                && said.iter().zip(expected).all(|(said, part)| said.contains(part));
            assert!(fits, "{declared:?}: {said:?}");
        }
    }

    #[test]
    fn who_waits_for_what_by_table() {
        let shop = application("shop", &["east", "west"], &["net@east", "db"]);
        let row = |of: &str, inputs: &str, state| Memory {
            target: target(of),
            source: name("code"),
            reference: Reference::parse("refs/heads/main").unwrap(),
            inputs: Inputs(inputs.into()),
            commit: CommitId::parse(&"a".repeat(40)).unwrap(),
            definition: 1,
            dispatch: "d".into(),
            state,
        };
        let rows = |net, east, west| {
            vec![row("net@east", "n", net), row("db@east", "x", east), row("db@west", "x", west)]
        };
        let (closed, open, failed, back) = (State::Closed, State::Open, State::Failed, State::RolledBack);
        let first = "db@east is to be made as the commit declares it first";
        // what is remembered, what is read → why shop@east waits, and shop@west
        type Known = &'static [(&'static str, &'static str)];
        let cases: [(Vec<Memory>, Known, [&str; 2]); 7] = [
            (vec![], &[], ["nothing was applied to net@east", "nothing was applied to net@east"]),
            (rows(closed, closed, closed), &[], ["", ""]),
            (
                rows(closed, open, failed),
                &[],
                ["db@east is not healthy at aaaaaaaaaaaa yet", "db@west failed at aaaaaaaaaaaa"],
            ),
            (rows(closed, closed, closed), &[("db@east", "y"), ("db@west", "x")], [first, ""]),
            (rows(closed, back, closed), &[], ["db@east was rolled back from aaaaaaaaaaaa", ""]),
            // What failed with something else is made anew first.
            (rows(closed, failed, closed), &[("db@east", "y")], [first, ""]),
            (rows(failed, closed, closed), &[], ["net@east failed at", "net@east failed at"]),
        ];
        for (rows, reads, expected) in cases {
            let memory: BTreeMap<Target, Memory> =
                rows.into_iter().map(|row| (row.target.clone(), row)).collect();
            let reads: BTreeMap<_, _> =
                reads.iter().map(|(of, inputs)| (target(of), (Inputs((*inputs).into()), 1))).collect();
            let waiting = awaited(&[&shop], &memory, &reads);
            for (of, why) in ["shop@east", "shop@west"].into_iter().zip(expected) {
                let said = waiting.get(&target(of)).map_or("", String::as_str);
                assert!(
                    said.starts_with(why) && said.is_empty() == why.is_empty(),
                    "{memory:?} {reads:?}: {said}"
                );
            }
        }
    }
}
