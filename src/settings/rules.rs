//! The health rules, one for each kind.

use std::collections::BTreeMap;

use crate::health::Expression;
use crate::health::Rule;
use crate::health::Rules;
use crate::object::GroupKind;
use crate::role::Part;
use crate::role::Role;
use crate::settings::layers::Layers;
use crate::settings::reader::Problem;
use crate::settings::reader::Section;

/// Reads the rules where this part of the line waits for health, or only looks at what others left.
pub fn rules(layers: &Layers<'_>, part: &Part, problems: &mut Vec<Problem>) -> Rules {
    let mut found = BTreeMap::new();
    if !part.has(Role::Reconcile) && !part.is_none() {
        return Rules::default();
    }
    layers.items("health_rules", problems, |mut section| {
        let kind = section.required("kind", "the kind that it is about, such as \"Certificate\"");
        let group = section.text("group").unwrap_or_default();
        let rule = rule(&mut section);
        if let Some((kind, rule)) = kind.zip(rule) {
            let kind = GroupKind { group, kind };
            if found.contains_key(&kind) {
                section.wrong("kind", format!("there is a rule for {kind} already: make one of both"));
            }
            let _before = found.insert(kind, rule);
        }
        section.finish();
    });
    Rules::new(found)
}

fn rule(section: &mut Section<'_>) -> Option<Rule> {
    let [waiting, failed, healthy] = ["waiting", "failed", "healthy"]
        .map(|name| (section.has(name), section.parsed(name, Expression::parse)));
    let silent = section.flag("silent").unwrap_or(false);
    match (silent, healthy) {
        (true, _) if waiting.0 || failed.0 || section.has("healthy") => {
            section.wrong("silent", "contradicts the expressions: give it, or them");
            None
        }
        (true, _) => Some(Rule::Silent),
        (false, (false, _)) => {
            section.wrong("healthy", "is missing: give an expression in CEL, or silent = true");
            None
        }
        (false, (true, healthy)) => {
            Some(Rule::Says { waiting: waiting.1, failed: failed.1, healthy: healthy? })
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::tests::GOOD;
    use crate::settings::tests::folder;
    use crate::settings::tests::load;

    #[test]
    fn a_rule_that_is_none_is_refused_with_its_place() {
        let folder = folder();
        let told = |rules: &str| {
            let rules = format!("{GOOD}\n[[health_rules]]\nkind = \"Widget\"\n{rules}\n");
            load(folder.path(), &rules, &[]).err().unwrap_or_default().join("\n")
        };
        for (rules, expected) in [
            ("healthy = \"true\"", ""),
            ("silent = true", ""),
            ("group = \"a.org\"\nfailed = \"false\"\nwaiting = \"false\"\nhealthy = \"true\"", ""),
            ("", "health_rules[0].healthy: is missing: give an expression in CEL, or silent = true"),
            ("failed = \"true\"", "health_rules[0].healthy: is missing"),
            ("healthy = \"status.\"", "health_rules[0].healthy: is no CEL at line 1"),
            ("healthy = \"true\"\nfailed = \"((\"", "health_rules[0].failed: is no CEL at line 1"),
            ("healthy = \"true\"\nsilent = true", "health_rules[0].silent: contradicts the expressions"),
            ("healty = \"true\"", "health_rules[0].healty: is no setting"),
            (
                "silent = true\n[[health_rules]]\nkind = \"Widget\"\nsilent = true",
                "health_rules[1].kind: there is a rule for Widget already: make one of both",
            ),
        ] {
            let told = told(rules);
            assert_eq!(told.contains(expected), !told.is_empty() || expected.is_empty(), "{rules}: {told}");
            assert_eq!(told.is_empty(), expected.is_empty(), "{rules}: {told}");
        }
    }
}
