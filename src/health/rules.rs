//! Rules that the settings give for a kind, in CEL; they come before windlass's own.
//!
//! An expression sees the object as `self`, and its parts as `metadata`, `spec` and `status`. It is bounded in its length
//! and its nesting, and the object in its size, so that nothing from outside can keep windlass busy.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use cel::Context;
use cel::ExecutionError;
use cel::Program;
use cel::common::ast::EntryExpr;
use cel::common::ast::Expr;
use cel::objects::Key;
use serde_json::Value;

use super::Health;
use super::condition;
use crate::object::GroupKind;

/// How long may an expression be, in bytes?
const EXPRESSION_BYTES: usize = 4_096;
/// How deep may macros such as `all` and `exists` stand in each other?
const NESTED: usize = 2;
/// How many values may an object have that a rule looks at?
const VALUES: usize = 50_000;
/// How many items may its longest list or map have, where a rule has macros in macros?
const ITEMS: usize = 1_000;

/// An expression that compiles.
#[derive(Clone, Debug)]
pub struct Expression {
    program: Arc<Program>,
    nested: usize,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// Where and why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > EXPRESSION_BYTES {
            return Err(format!("has {} bytes: an expression may have {EXPRESSION_BYTES}", text.len()));
        }
        let program = Program::compile(text).map_err(|errors| {
            errors.errors.first().map_or_else(
                || "is no CEL: look for what is not closed".to_owned(),
                |error| {
                    let (line, column) = error.pos;
                    let why = error.msg.lines().next().unwrap_or_default();
                    format!("is no CEL at line {line}, column {column}: {why}")
                },
            )
        })?;
        let nested = nested(&program.expression().expr);
        if nested > NESTED {
            return Err(format!("has macros {nested} deep in each other: {NESTED} are allowed"));
        }
        Ok(Self { program: Arc::new(program), nested })
    }

    fn holds(&self, context: &Context<'_, '_>) -> Result<bool, String> {
        match self.program.execute(context) {
            Ok(cel::Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err("does not say true or false".to_owned()),
            Err(error) => Err(why(&error)),
        }
    }
}

/// Returns what went wrong without a value of the object, which may be secret.
fn why(error: &ExecutionError) -> String {
    if let ExecutionError::NoSuchKey(key) = error {
        return format!("finds no {key} in the object; has(...) asks whether a field is there");
    }
    if let ExecutionError::UndeclaredReference(name) = error {
        return format!("names {name}, which is nothing; known are self, metadata, spec and status");
    }
    "cannot be worked out for this object: check the types that it compares".to_owned()
}

/// Returns how deep macros stand in each other.
fn nested(expression: &Expr) -> usize {
    let deepest = |list: &[cel::IdedExpr]| list.iter().map(|one| nested(&one.expr)).max().unwrap_or(0);
    let entries = |list: &[cel::common::ast::IdedEntryExpr]| {
        let depth = |entry: &EntryExpr| match entry {
            EntryExpr::StructField(field) => nested(&field.value.expr),
            EntryExpr::MapEntry(entry) => nested(&entry.key.expr).max(nested(&entry.value.expr)),
        };
        list.iter().map(|entry| depth(&entry.expr)).max().unwrap_or(0)
    };
    match expression {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => 0,
        Expr::Call(call) => {
            deepest(&call.args).max(call.target.as_ref().map_or(0, |target| nested(&target.expr)))
        }
        Expr::Comprehension(each) => {
            let inner = [&each.loop_cond, &each.loop_step, &each.result].map(|part| nested(&part.expr));
            let outer = nested(&each.iter_range.expr).max(nested(&each.accu_init.expr));
            outer.max(1 + inner.into_iter().max().unwrap_or(0))
        }
        Expr::List(list) => deepest(&list.elements),
        Expr::Map(map) => entries(&map.entries),
        Expr::Select(select) => nested(&select.operand.expr),
        Expr::Struct(fields) => entries(&fields.entries),
    }
}

/// What the settings say of a kind.
#[derive(Clone, Debug)]
pub enum Rule {
    /// Nothing is reported of such objects, and they count as healthy.
    Silent,
    /// Expressions over the object.
    Says {
        /// When it may yet become healthy; looked at first.
        waiting: Option<Expression>,
        /// When it will not by itself; looked at second.
        failed: Option<Expression>,
        /// When it works; if none is true, it is waited for.
        healthy: Expression,
    },
}

impl Rule {
    /// Returns the health of an object; `None` where this says nothing about it.
    pub(super) fn health(&self, live: &Value) -> Option<Health> {
        let Self::Says { waiting, failed, healthy } = self else { return None };
        let all = || [Some(healthy), waiting.as_ref(), failed.as_ref()].into_iter().flatten();
        let context = match context(live, all().map(|one| one.nested).max().unwrap_or(0)) {
            Ok(context) => context,
            Err(why) => return Some(Health::Waiting(why)),
        };
        let told = |otherwise: &str| condition(live, "Ready").map_or(otherwise.to_owned(), |c| c.words());
        let found = [("waiting", waiting.as_ref()), ("failed", failed.as_ref()), ("healthy", Some(healthy))];
        for (name, expression) in found {
            match expression.map(|expression| expression.holds(&context)) {
                Some(Ok(true)) if name == "healthy" => return Some(Health::Healthy),
                Some(Ok(true)) if name == "failed" => {
                    return Some(Health::Failed(told("its health rule calls it failed")));
                }
                Some(Ok(true)) => return Some(Health::Waiting(told("its health rule says to wait"))),
                Some(Ok(false)) | None => {}
                Some(Err(why)) => {
                    return Some(Health::Waiting(format!("`{name}` of its health rule {why}")));
                }
            }
        }
        Some(Health::Waiting(told("its health rule does not call it healthy yet")))
    }
}

/// Rules by kind.
pub(super) type ByKind = Arc<BTreeMap<GroupKind, Rule>>;

fn context(live: &Value, nested: usize) -> Result<Context<'static, 'static>, String> {
    let mut size = Size { values: 0, longest: 0 };
    let whole = size.value(live);
    if size.values > VALUES || (nested > 1 && size.longest > ITEMS) {
        return Err(format!(
            "is too large for its health rule ({VALUES} values, {ITEMS} items in nested macros)"
        ));
    }
    let mut context = Context::default();
    for part in ["metadata", "spec", "status"] {
        let value = live.get(part).map(|value| Size { values: 0, longest: 0 }.value(value));
        // A part that is not there has no fields, so that has(status.phase) can be asked.
        let none = || cel::Value::from(HashMap::<Key, cel::Value>::new());
        context.add_variable_from_value(part, value.unwrap_or_else(none));
    }
    context.add_variable_from_value("self", whole);
    Ok(context)
}

struct Size {
    values: usize,
    longest: usize,
}

impl Size {
    /// Makes a value of CEL of it, and stops to once it is too large.
    fn value(&mut self, value: &Value) -> cel::Value {
        self.values += 1;
        if self.values > VALUES {
            return cel::Value::Null;
        }
        match value {
            Value::Null => cel::Value::Null,
            Value::Bool(one) => cel::Value::Bool(*one),
            Value::Number(number) => number
                .as_i64()
                .map_or_else(|| cel::Value::Float(number.as_f64().unwrap_or(f64::NAN)), cel::Value::Int),
            Value::String(text) => cel::Value::from(text.as_str()),
            Value::Array(list) => {
                self.longest = self.longest.max(list.len());
                let items: Vec<cel::Value> = list.iter().map(|item| self.value(item)).collect();
                cel::Value::List(Arc::new(items))
            }
            Value::Object(map) => {
                self.longest = self.longest.max(map.len());
                // Who set which field says nothing of health, and is often the larger half of an object.
                let fields = map.iter().filter(|(key, _)| *key != "managedFields");
                let fields: HashMap<Key, cel::Value> =
                    fields.map(|(key, value)| (Key::from(key.as_str()), self.value(value))).collect();
                cel::Value::from(fields)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::Expression;
    use super::Rule;
    use crate::health::Rules;
    use crate::health::tests::object;
    use crate::health::tests::words;
    use crate::object::GroupKind;

    fn rules(rule: Rule) -> Rules {
        let kind = GroupKind { group: "example.org".to_owned(), kind: "Widget".to_owned() };
        Rules::new([(kind, rule)])
    }

    fn says(waiting: &str, failed: &str, healthy: &str) -> Rules {
        let read = |text: &str| (!text.is_empty()).then(|| Expression::parse(text).unwrap());
        rules(Rule::Says {
            waiting: read(waiting),
            failed: read(failed),
            healthy: Expression::parse(healthy).unwrap(),
        })
    }

    fn widget(status: Value) -> Value {
        object("example.org/v1", "Widget", json!({ "replicas": 2 }), status)
    }

    #[test]
    fn a_rule_waits_fails_and_is_healthy_in_this_order() {
        let ready = "status.conditions.exists(c, c.type == 'Up' && c.status == 'True')";
        let phase = "has(status.phase) && status.phase";
        let cases = [
            (says("", "", ready), json!({ "conditions": [{ "type": "Up", "status": "True" }] }), "healthy"),
            (
                says("", "", ready),
                json!({ "conditions": [] }),
                "waiting: its health rule does not call it healthy yet",
            ),
            (says("true", "true", "true"), json!({}), "waiting: its health rule says to wait"),
            (says("false", "true", "true"), json!({}), "failed: its health rule calls it failed"),
            (
                says("", &format!("{phase} == 'Broken'"), "true"),
                json!({ "phase": "Broken", "conditions": [{ "type": "Ready", "status": "False", "message": "no disk" }] }),
                "failed: no disk",
            ),
            (says("", "", "self.spec.replicas == status.ready"), json!({ "ready": 2 }), "healthy"),
            (says("", "", "metadata.name == 'x' && self.kind == 'Widget'"), json!({}), "healthy"),
            (
                says("", "", "true"),
                json!({ "observedGeneration": 1 }),
                "waiting: its controller has not seen this version yet",
            ),
        ];
        for (rules, status, expected) in cases {
            assert_eq!(words(&rules.health(&widget(status.clone()))), expected, "{status}");
        }
    }

    #[test]
    fn what_cannot_be_worked_out_is_never_healthy_and_shows_no_value() {
        let secret = json!({ "phase": "hunter2" });
        let cases = [
            (
                "status.ready == 1",
                "waiting: `healthy` of its health rule finds no ready in the object; has(...) asks whether a field is there",
            ),
            (
                "stat.ready == 1",
                "waiting: `healthy` of its health rule names stat, which is nothing; known are self, metadata, spec and status",
            ),
            ("status.phase", "waiting: `healthy` of its health rule does not say true or false"),
            (
                "status.phase > 1",
                "waiting: `healthy` of its health rule cannot be worked out for this object: check the types that it compares",
            ),
        ];
        for (expression, expected) in cases {
            assert_eq!(words(&says("", "", expression).health(&widget(secret.clone()))), expected);
        }
    }

    #[test]
    fn an_expression_that_is_none_is_refused_with_its_place() {
        let deep = "status.a.all(x, x.b.all(y, y.c.all(z, z)))";
        let long = format!("true || {}", "true || ".repeat(600));
        for (text, expected) in [
            ("status.phase ==", "is no CEL at line 1, column 1"),
            ("status.phase == 'a' &&\n  )", "is no CEL at line 2, column 3"),
            (deep, "has macros 3 deep in each other: 2 are allowed"),
            (long.as_str(), "an expression may have 4096"),
        ] {
            let why = Expression::parse(text).unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
        }
    }

    #[test]
    fn an_object_that_is_too_large_is_waited_for() {
        let twice = says("", "", "status.items.all(x, status.items.all(y, y == x))");
        let once = says("", "", "status.items.all(x, x == 1)");
        let of = |length: usize| widget(json!({ "items": vec![1; length] }));
        let is_healthy = |rules: &Rules, length| words(&rules.health(&of(length))) == "healthy";
        assert!(is_healthy(&twice, 100) && !is_healthy(&twice, 1_001));
        assert!(is_healthy(&once, 1_001) && !is_healthy(&once, 50_001));
    }

    #[test]
    fn a_silent_kind_is_not_waited_for_to_report() {
        let silent = rules(Rule::Silent);
        assert!(!silent.is_unreported(&widget(json!({}))));
        assert!(Rules::default().is_unreported(&widget(json!({}))));
        assert_eq!(words(&silent.health(&widget(json!({})))), "healthy");
    }
}
