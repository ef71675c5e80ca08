//! The rules about what is left to others in the objects of a kind.

use crate::annotation::POINTERS;
use crate::annotation::Pointer;
use crate::application::Application;
use crate::ignore::IgnoreRule;
use crate::object::GroupKind;
use crate::settings::kinds;
use crate::settings::lists::Names;
use crate::settings::reader::Section;
use crate::settings::windows;

/// How many rules may one application have? Each of its jobs carries them.
const RULES: usize = 256;

/// How many managers may one list name?
const MANAGERS: usize = 16;

/// How long may a text of a rule be, in bytes? A field manager has at most 128 of them, a name 253.
const TEXT_BYTES: usize = 512;

/// Reads a rule and gives it to each of `all` that it fits; `known` are the names of all applications.
pub fn ignore_rule(section: &mut Section<'_>, known: &Names, all: &mut [Application]) {
    let kind = section.required("kind", "the kind of the objects, such as \"Deployment\"");
    let group = section.text("group").unwrap_or_default();
    if let Some(kind) = kind.as_deref().filter(|kind| group.is_empty() && !kinds::is_core(kind)) {
        section.wrong("group", format!("is missing: \"{kind}\" is no kind of the core group"));
    }
    let applications = windows::patterns(section, "applications", "application", known);
    let [namespace, name] = ["namespace", "name"].map(|key| section.parsed(key, text));
    let fields = several(section, "fields", POINTERS, |text| {
        Pointer::parse(text).map(|_| text.to_owned()).map_err(|why| format!("is a list {why}"))
    });
    let managers = managers(section, "managers");
    if !section.has("fields") && !section.has("managers") {
        section.wrong("", "give fields, or managers, or both: what is left to others");
    }
    let Some(kind) = kind else { return };
    let rule = IgnoreRule { kind: GroupKind { group, kind }, namespace, name, fields, managers };
    let fits = |one: &&mut Application| {
        applications.is_empty() || applications.iter().any(|pattern| pattern.fits(one.name.as_str()))
    };
    for application in all.iter_mut().filter(fits) {
        application.ignore.push(rule.clone());
        if application.ignore.len() == RULES + 1 {
            section.wrong("", format!("is rule {} for {}: at most {RULES}", RULES + 1, application.name));
        }
    }
}

/// Reads a list of field managers, where it is given.
pub fn managers(section: &mut Section<'_>, key: &'static str) -> Vec<String> {
    several(section, key, MANAGERS, text)
}

/// Reads a list that is not empty, where it is given.
fn several(
    section: &mut Section<'_>,
    key: &'static str,
    most: usize,
    rule: impl Fn(&str) -> Result<String, String>,
) -> Vec<String> {
    if !section.has(key) {
        section.skip(key);
        return Vec::new();
    }
    let found = section.each(key, rule).unwrap_or_default();
    if section.list(key).is_some_and(|items| items.is_empty() || items.len() > most) {
        section.wrong(key, format!("must have 1 to {most} items"));
    }
    found
}

fn text(text: &str) -> Result<String, String> {
    let fine = !text.is_empty() && text.len() <= TEXT_BYTES && !text.chars().any(char::is_control);
    fine.then(|| text.to_owned()).ok_or_else(|| format!("must be a text of 1 to {TEXT_BYTES} bytes"))
}

#[cfg(test)]
mod tests {
    use crate::settings::tests::GOOD;
    use crate::settings::tests::folder;
    use crate::settings::tests::load;

    const RULE: &str = "[[ignore_rules]]\ngroup = \"apps\"\nkind = \"Deployment\"\nnamespace = \"shop\"\n\
                        name = \"web\"\napplications = [\"sh*\"]\nfields = [\"/spec/replicas\"]\n\
                        managers = [\"vpa-updater\"]\n";

    #[test]
    fn a_rule_goes_to_the_applications_that_it_fits() {
        let folder = folder();
        let rules = "[[ignore_rules]]\nkind = \"Service\"\nfields = [\"/spec/ports\"]\n";
        let settings = load(folder.path(), &format!("{GOOD}\n{RULE}{rules}"), &[]).unwrap();
        let [shop] = &settings.applications[..] else { panic!("{:?}", settings.applications) };
        let [first, second] = &shop.ignore[..] else { panic!("{:?}", shop.ignore) };
        assert_eq!(first.kind.to_string(), "Deployment.apps");
        assert_eq!((first.namespace.as_deref(), first.name.as_deref()), (Some("shop"), Some("web")));
        assert_eq!(
            (&first.fields[..], &first.managers[..]),
            (&["/spec/replicas".to_owned()][..], &["vpa-updater".to_owned()][..])
        );
        assert_eq!(
            (second.kind.to_string().as_str(), &second.namespace, &second.name),
            ("Service", &None, &None)
        );
    }

    #[test]
    fn a_rule_that_is_none_is_refused_with_what_to_do() {
        let folder = folder();
        let many = format!("[{}]", "\"/a\", ".repeat(65));
        for (from, to, expected) in [
            ("kind = \"Deployment\"\n", "", "ignore_rules[0].kind: is missing: give the kind of the objects"),
            (
                "group = \"apps\"\n",
                "",
                "ignore_rules[0].group: is missing: \"Deployment\" is no kind of the core group",
            ),
            ("sh*", "blog", "ignore_rules[0].applications[0]: fits no application: \"blog\"; known: shop"),
            (
                "\"/spec/replicas\"",
                "\"spec.replicas\"",
                "ignore_rules[0].fields[0]: is a list which has something that is no JSON pointer",
            ),
            (
                "\"/spec/replicas\"",
                "\"/metadata/name\"",
                "ignore_rules[0].fields[0]: is a list which leaves to others what windlass needs",
            ),
            ("\"/spec/replicas\"", "", "ignore_rules[0].fields: must have 1 to 64 items"),
            ("[\"/spec/replicas\"]", many.as_str(), "ignore_rules[0].fields: must have 1 to 64 items"),
            ("\"vpa-updater\"", "", "ignore_rules[0].managers: must have 1 to 16 items"),
            ("\"vpa-updater\"", "\"\"", "ignore_rules[0].managers[0]: must be a text of 1 to 512 bytes"),
            ("\"web\"", "\"\"", "ignore_rules[0].name: must be a text"),
            (
                "fields = [\"/spec/replicas\"]\nmanagers = [\"vpa-updater\"]\n",
                "",
                "ignore_rules[0]: give fields, or managers, or both",
            ),
            ("managers", "manager", "ignore_rules[0].manager: is no setting"),
        ] {
            assert!(RULE.contains(from), "{from}");
            let text = format!("{GOOD}\n{}", RULE.replace(from, to));
            let told = load(folder.path(), &text, &[]).err().unwrap_or_default().join("\n");
            assert!(told.contains(expected), "{to}: {told}");
        }
        let many = format!("{GOOD}\n{}", RULE.repeat(257));
        let told = load(folder.path(), &many, &[]).err().unwrap_or_default().join("\n");
        assert!(told.contains("ignore_rules[256]: is rule 257 for shop: at most 256"), "{told}");
    }
}
