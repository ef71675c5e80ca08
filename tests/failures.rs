//! Ways in which engines of this kind have failed their users, by number, and the tests that show that windlass does not.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

use std::path::Path;

/// A way to fail, by its number; what it is; and the tests against it, each with its file.
type Failure = (u8, &'static str, &'static [(&'static str, &'static str)]);

const FAILURES: [Failure; 14] = [
    (
        1,
        "payloads whose fields are missing, of another type, huge or deep",
        &[
            ("tests/payloads/main.rs", "a_field_that_is_bent_is_an_event_or_a_reason_and_never_an_error"),
            ("tests/payloads/main.rs", "a_large_or_deep_value_takes_no_more_memory_than_its_body"),
        ],
    ),
    (
        2,
        "bodies at the limit, in chunks, slow or packed",
        &[
            ("tests/door/bodies.rs", "a_body_may_be_as_large_as_the_limit_and_not_a_byte_larger"),
            ("tests/door/bodies.rs", "broken_chunks_are_refused"),
            ("tests/door/bodies.rs", "a_body_that_does_not_come_in_time_is_given_up"),
            ("tests/door/pages.rs", "only_json_and_forms_are_read_and_nothing_is_unpacked"),
        ],
    ),
    (
        3,
        "signatures that nearly hold, old secrets and old times",
        &[
            ("src/forge/tests.rs", "a_signature_that_does_not_hold_in_every_respect_is_unheard"),
            ("src/forge/signature.rs", "only_whole_digests_are_claims"),
            ("src/forge/standard.rs", "a_time_more_than_five_minutes_away_is_none"),
            ("src/forge/standard.rs", "one_signature_of_several_is_enough"),
            ("tests/door/signatures.rs", "whatever_is_wrong_with_a_signature_the_answer_is_the_same"),
        ],
    ),
    (
        4,
        "a push while the same application is worked on",
        &[(
            "tests/e2e/races.rs",
            "of_five_pushes_during_a_stalled_pass_the_last_is_made_true_in_one_more_pass",
        )],
    ),
    (
        5,
        "a commit that fails for ever holds up the one that heals it",
        &[
            ("tests/e2e/races.rs", "a_newer_commit_waits_for_no_retry_of_an_older_one"),
            ("tests/e2e/past.rs", "what_had_failed_before_a_commit_may_work_again_by_it"),
            (
                "tests/e2e/going.rs",
                "what_is_being_deleted_holds_up_nothing_else_and_is_there_again_once_it_is_gone",
            ),
        ],
    ),
    (
        6,
        "forced pushes, deleted branches, moved tags, and forges' own ways to tell of them",
        &[
            ("src/forge/gitlab/tests.rs", "pushes_are_read_as_gitlab_tells_them"),
            ("tests/e2e/refs.rs", "a_force_push_makes_the_new_tip_true"),
            ("tests/e2e/refs.rs", "a_deleted_branch_deletes_nothing"),
            ("tests/e2e/tags.rs", "a_moved_tag_is_made_true_where_it_stands_now"),
            ("tests/e2e/refs.rs", "an_empty_commit_a_rename_a_merge_and_a_long_push_end_where_they_lead"),
        ],
    ),
    (
        7,
        "deliveries that come twice or out of order",
        &[
            ("tests/e2e/objects.rs", "the_same_push_twice_writes_nothing"),
            ("tests/e2e/promise_1_and_2.rs", "promise_2_deliveries_in_any_order_end_at_the_tip"),
        ],
    ),
    (
        8,
        "pruning what nobody meant to lose",
        &[
            ("tests/e2e/promise_4.rs", "promise_4_an_emptied_folder_prunes_nothing"),
            ("tests/e2e/promise_4.rs", "promise_4_a_commit_that_cannot_be_read_prunes_nothing"),
            (
                "tests/e2e/promise_4.rs",
                "promise_4_more_than_the_guard_allows_is_kept_until_a_commit_consents",
            ),
            (
                "tests/e2e/promise_4.rs",
                "promise_4_a_namespace_needs_consent_because_it_takes_what_it_holds_with_it",
            ),
            ("tests/e2e/promise_4.rs", "promise_4_a_commit_on_the_way_consents_to_what_it_left_out"),
            (
                "tests/e2e/promise_4.rs",
                "promise_4_a_commit_on_the_way_consents_to_nothing_that_was_brought_back_after_it",
            ),
            (
                "tests/e2e/promise_4.rs",
                "promise_4_all_of_a_small_application_is_kept_though_others_take_its_place",
            ),
            ("tests/e2e/refusals.rs", "an_object_of_another_application_is_refused_by_its_name"),
            ("tests/e2e/promise_4.rs", "promise_4_a_path_that_leaves_the_repository_takes_nothing_with_it"),
            (
                "tests/e2e/promise_4.rs",
                "promise_4_a_namespace_that_two_applications_declare_is_left_to_the_other",
            ),
            ("tests/e2e/moves.rs", "an_object_that_moves_is_neither_deleted_nor_created_anew"),
            (
                "tests/e2e/withheld.rs",
                "of_a_kind_that_is_not_served_for_a_time_nothing_is_pruned_and_nothing_forgotten",
            ),
        ],
    ),
    (
        9,
        "secrets in errors, statuses and histories",
        &[
            (
                "tests/e2e/promise_5_and_7.rs",
                "promise_7_what_a_secret_holds_is_nowhere_though_the_server_quotes_it",
            ),
            (
                "tests/e2e/promise_5_and_7.rs",
                "promise_7_a_secret_of_a_type_and_what_kubectl_noted_of_one_are_nowhere",
            ),
            ("src/mask.rs", "what_a_secret_holds_is_never_quoted"),
        ],
    ),
    (
        10,
        "healing that stops after a failure, or never stops",
        &[
            ("tests/e2e/drift.rs", "drift_is_corrected_after_a_failed_sync_too"),
            (
                "tests/e2e/drift.rs",
                "drift_of_what_was_written_is_corrected_after_a_sync_that_was_refused_half_way",
            ),
            ("tests/e2e/drift.rs", "a_field_that_somebody_took_away_while_nobody_watched_comes_back"),
            ("tests/e2e/timed.rs", "a_job_that_is_gone_once_it_has_ended_is_healthy_and_no_drift"),
            ("src/patrol/watchlist/tests.rs", "a_new_commit_ends_the_waiting"),
            ("src/drift/fight.rs", "the_same_that_is_undone_again_and_again_is_a_fight"),
        ],
    ),
    (
        11,
        "a broker that is down, and a worker that dies between any two steps",
        &[
            ("tests/door/ends.rs", "without_a_confirm_the_forge_is_told_to_come_again"),
            ("tests/crash/main.rs", "killed_around_each_apply"),
            ("tests/crash/main.rs", "killed_around_the_verdict_and_the_verdict_of_the_whole"),
        ],
    ),
    (
        12,
        "forges that limit, refuse and show one page of many",
        &[
            (
                "tests/pace.rs",
                "a_thousand_verdicts_that_waited_for_a_forge_and_a_restart_are_all_posted_once_and_in_order",
            ),
            ("tests/github/checks.rs", "a_limit_is_waited_for_and_nothing_is_shown_twice"),
            (
                "tests/github/statuses.rs",
                "the_latest_status_of_each_context_is_shown_page_by_page_and_may_lag_behind",
            ),
        ],
    ),
    (
        13,
        "links out of the tree, submodules, and names that are more than names",
        &[
            ("tests/source/contents.rs", "what_is_no_plain_file_is_refused_by_name"),
            ("tests/source/contents.rs", "a_name_that_is_a_whole_path_is_refused"),
            ("tests/source/contents.rs", "a_submodule_whose_address_holds_a_password_is_refused_without_it"),
            ("tests/source/contents.rs", "a_file_that_is_called_like_an_option_is_a_file"),
        ],
    ),
    (
        14,
        "a push whose cost grows with all that it does not touch",
        &[
            ("tests/e2e/refs.rs", "in_a_monorepo_a_push_costs_the_untouched_nothing"),
            ("tests/e2e/refs.rs", "a_push_to_many_applications_asks_the_forge_a_few_times"),
            ("src/select/applications.rs", "applications_are_found_by_source_name_and_target"),
        ],
    ),
];

/// Returns whether a function of that name stands in a file as a test.
fn is_tested(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_it = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")
            .and_then(|line| line.strip_prefix(name))
            .is_some_and(|line| line.starts_with('('))
    };
    let marked = |line: &&&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    lines
        .iter()
        .enumerate()
        .any(|(place, line)| is_it(line) && lines.get(place.saturating_sub(1)).filter(marked).is_some())
}

#[test]
fn only_a_function_that_is_run_is_a_test() {
    for (text, there) in [
        ("#[test]\nfn a() {", true),
        ("    #[tokio::test(flavor = \"x\")]\n    async fn a() {", true),
        ("fn a() {", false),
        ("// #[test]\n// fn a() {", false),
        ("#[test]\n// fn a() {", false),
        ("#[test]\nfn ab() {", false),
    ] {
        assert_eq!(is_tested(text, "a"), there, "{text}");
    }
}

#[test]
fn each_has_tests_against_it_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (place, (number, what, tests)) in FAILURES.iter().enumerate() {
        assert_eq!(usize::from(*number), place + 1, "{what}");
        assert!(!tests.is_empty(), "{number}: {what}");
        for (file, name) in *tests {
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            assert!(is_tested(&text, name), "{number}, {what}: there is no test {name} in {file}");
        }
    }
}
