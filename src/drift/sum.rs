//! What the members of a set come to: how many they are, and what their application owns of them.

use super::Sight;
use crate::member;
use crate::object::Live;
use crate::object::ObjectId;

/// What members come to. A pass sums up what it leaves behind, and a patrol what it sees: where the two differ, somebody
/// changed some of them while nobody watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many are there that their application itself applied?
    pub count: u64,
    /// The sum of their marks.
    pub marks: u64,
}

impl Sum {
    /// Returns what one live object adds: nothing where it is no member of the set `set`, whose manager is `manager`.
    #[must_use]
    pub fn of(live: &Live, set: &str, manager: &str) -> Self {
        let mut sum = Self::default();
        if live.label(member::PART_OF) == Some(set) {
            sum.add(&live.id, &Sight::of(&live.value, manager));
        }
        sum
    }

    /// Adds a member.
    pub fn add(&mut self, id: &ObjectId, sight: &Sight) {
        *self = self.and(Self { count: u64::from(sight.is_applied()), marks: sight.mark(id) });
    }

    /// Takes a member off that was added.
    pub fn take_off(&mut self, id: &ObjectId, sight: &Sight) {
        self.count = self.count.wrapping_sub(u64::from(sight.is_applied()));
        self.marks = self.marks.wrapping_sub(sight.mark(id));
    }

    /// Returns what both come to together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { count: self.count.wrapping_add(other.count), marks: self.marks.wrapping_add(other.marks) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Sum;
    use crate::drift::Sight;
    use crate::object::Live;

    fn live(label: &str, manager: &str, name: &str, owned: serde_json::Value) -> Live {
        let entry = json!({ "manager": manager, "operation": "Apply", "apiVersion": "batch/v1", "time": "1",
            "fieldsV1": owned });
        Live::read(json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name, "uid": "1",
            "labels": { "applyset.kubernetes.io/part-of": label }, "managedFields": [entry] } }))
        .unwrap()
    }

    #[test]
    fn only_what_its_application_applied_to_stay_is_counted() {
        let fields = || json!({ "f:spec": { "f:suspend": {} } });
        let timed = json!({ "f:spec": { "f:ttlSecondsAfterFinished": {} } });
        for (label, manager, owned, count) in [
            ("set", "us", fields(), 1),
            ("other", "us", fields(), 0),
            ("set", "them", fields(), 0),
            ("set", "us", timed, 0),
        ] {
            let sum = Sum::of(&live(label, manager, "a", owned), "set", "us");
            assert_eq!((sum.count, sum.marks != 0), (count, count == 1), "{label} {manager}");
        }
    }

    #[test]
    fn a_sum_does_not_depend_on_the_order() {
        let [a, b] = ["a", "b"].map(|name| live("set", "us", name, json!({ "f:spec": {} })));
        let [one, two] = [&a, &b].map(|live| Sum::of(live, "set", "us"));
        assert_eq!(one.and(two), two.and(one));
        assert_ne!(one.marks, two.marks);
        let mut both = one.and(two);
        both.take_off(&a.id, &Sight::of(&a.value, "us"));
        assert_eq!(both, two);
    }
}
