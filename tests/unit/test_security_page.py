"""Every row of the tables in docs/security.md is held by a test, and this is the list of which."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ACCESS, HOSTILE = "e2e/network/test_access.py", "e2e/network/test_hostile.py"
SECRETS, BROWSER = "e2e/network/test_secrets.py", "e2e/network/test_browser_network.py"
GATEWAY, PLATFORM, STORE = "e2e/test_gateway.py", "e2e/test_platform.py", "e2e/test_s3_user.py"
ARTIFACTS, PERMISSIONS = "e2e/test_artifacts.py", "embedded/test_permissions.py"
CONTAINER = f"{ACCESS}::test_no_process_of_a_container_is_root_or_holds_a_capability"
WRITES = f"{ACCESS}::test_a_container_writes_only_its_volume_and_its_tmpfs"
HOST_FILES = f"{ACCESS}::test_every_secret_file_on_the_host_is_its_container_s_alone"
CONTROLLER_FILES = f"{ACCESS}::test_the_controller_s_files_are_their_owner_s_alone"
HELD_BY = {
    # Who may do what
    "anybody on the host, `exposure: loopback`": [f"{PLATFORM}::test_ports_are_on_loopback_only"],
    "anybody on the network, `exposure: loopback`": [f"{PLATFORM}::test_ports_are_on_loopback_only"],
    "anybody on the network, `exposure: network`": [
        f"{ACCESS}::test_nothing_listens_but_ssh_and_the_documented_ports",
        f"{HOSTILE}::test_another_name_and_a_climbing_path_reach_nobody",
        f"{HOSTILE}::test_a_page_of_another_origin_asks_nothing_in_a_user_s_name",
        f"{HOSTILE}::test_guessing_a_user_s_password_is_slowed_and_another_user_works_on",
    ],
    "the database's network, `exposure: network`": [
        f"{ACCESS}::test_the_database_lets_in_one_user_to_one_database_over_tls"
    ],
    "anybody with a login to MLflow (`exposure: network`)": [
        f"{PERMISSIONS}::test_nobody_sees_what_was_not_granted",
        f"{HOSTILE}::test_nobody_comes_in_without_a_login_or_with_another_s_password",
        f"{BROWSER}::test_a_page_without_a_login_shows_nothing",
    ],
    "MLflow's `admin`": [
        f"{PERMISSIONS}::test_the_admin_changes_and_deletes_what_others_made_and_manages_users",
        f"{HOSTILE}::test_an_artifact_is_no_file_of_the_server",
    ],
    "MLflow's `jobs`": [
        f"{PERMISSIONS}::test_jobs_train_twice_and_predict_with_the_champion",
        f"{PERMISSIONS}::test_jobs_delete_only_what_they_made",
    ],
    "a user who is `read_only`": [
        f"{PERMISSIONS}::test_a_read_only_user_reads_everything",
        f"{PERMISSIONS}::test_who_may_only_read_changes_nothing",
        f"{HOSTILE}::test_who_may_only_read_reads_and_changes_nothing",
    ],
    "a user with `create: false`": [f"{HOSTILE}::test_who_edits_one_experiment_sees_no_other_and_makes_none"],
    "who is no administrator any more": [
        f"{PERMISSIONS}::test_who_is_no_administrator_any_more_is_none_within_seconds"
    ],
    "whoever loses a login while a job runs": [
        f"{HOSTILE}::test_a_login_changed_in_the_middle_of_a_training_fails_it_and_what_was_logged_stays"
    ],
    "MLflow's S3 user": [
        f"{STORE}::test_mlflow_writes_lists_reads_and_deletes_artifacts",
        f"{STORE}::test_no_version_can_be_deleted",
        f"{STORE}::test_no_history_can_be_wiped_by_force",
        f"{STORE}::test_the_bucket_cannot_be_made_forgetful",
        f"{HOSTILE}::test_mlflow_s_key_reaches_its_objects_and_nothing_else",
    ],
    "MinIO's root": [
        f"{BROWSER}::test_the_console_lets_root_in_over_https",
        f"{HOSTILE}::test_minio_is_not_administered_from_the_network_not_even_by_its_root",
    ],
    "MLflow's database role": [f"{ACCESS}::test_the_database_s_user_owns_its_database_and_nothing_else"],
    "PostgreSQL's superuser": [
        f"{ACCESS}::test_the_database_s_superuser_comes_in_inside_its_container_with_its_password"
    ],
    "a registry": [
        "e2e/test_registry.py::test_a_digest_that_the_registry_does_not_have_is_refused",
        "e2e/test_registry.py::test_a_host_pulls_by_digest_what_its_groups_need_and_keeps_no_login",
    ],
    "a user of the host without sudo": [
        f"{ACCESS}::test_a_user_of_the_host_without_sudo_reads_no_secret_and_starts_no_container"
    ],
    "a member of the host's group `docker`": [
        f"{ACCESS}::test_who_provisions_with_sudo_is_in_the_engine_s_group_and_nobody_else"
    ],
    "whoever holds `secrets.yml`": [
        f"{ACCESS}::test_whoever_holds_the_secrets_is_mlflow_s_admin",
        f"{BROWSER}::test_the_console_lets_root_in_over_https",
        f"{ACCESS}::test_the_database_s_superuser_comes_in_inside_its_container_with_its_password",
    ],
    "whoever holds `ca.key`": [f"{ACCESS}::test_the_ca_s_key_stays_on_the_controller_and_a_host_signs_nothing"],
    "another controller, without `secrets.yml`": [
        f"{HOSTILE}::test_another_controller_without_the_credentials_does_not_take_the_platform_over",
        f"{HOSTILE}::test_two_inventories_share_a_host_under_other_names_and_ports",
    ],
    # Containers
    "`postgres`": [CONTAINER, WRITES],
    "`minio`": [CONTAINER, WRITES],
    "`mlflow`": [CONTAINER, WRITES],
    "`gateway`": [CONTAINER, WRITES],
    "a job": [f"{ACCESS}::test_a_job_is_nobody_and_reaches_nothing_of_the_host"],
    "Ansible's modules, in `bin/platform-python`": [
        f"{ACCESS}::test_ansible_s_python_on_the_host_is_as_powerless_as_a_service"
    ],
    # Files
    "on a host: `secrets/*`": [HOST_FILES],
    "on a host: `*/tls/tls.key`": [HOST_FILES],
    "on a host: everything else": [
        HOST_FILES,
        f"{SECRETS}::test_what_is_for_everybody_on_the_host_and_the_connection_file_hold_no_secret",
    ],
    "on the controller: `secrets.yml`, `ca.key`, `tls/*.key`, `job-login.ini`, `platform.json`": [CONTROLLER_FILES],
    "on the controller: `ca.crt`, `job-ca.crt`, `tls/*.crt`": [CONTROLLER_FILES],
    # Where no secret is found
    "lists of processes": [
        f"{SECRETS}::test_a_provision_shows_no_secret_in_a_list_of_processes",
        f"{SECRETS}::test_no_container_shows_a_secret",
        f"{SECRETS}::test_a_running_job_shows_no_secret",
    ],
    "`docker inspect`, `docker top`": [
        f"{SECRETS}::test_no_container_shows_a_secret",
        f"{SECRETS}::test_a_running_job_shows_no_secret",
    ],
    "logs": [
        f"{SECRETS}::test_no_container_shows_a_secret",
        f"{SECRETS}::test_a_running_job_shows_no_secret",
        f"{SECRETS}::test_the_gateway_logs_no_signature",
    ],
    "images": [f"{SECRETS}::test_no_image_carries_a_secret"],
    "Ansible's output": [
        f"{SECRETS}::test_a_provision_at_vvv_with_diff_shows_no_secret",
        "unit/test_host_files.py::test_a_secret_is_in_no_output_even_when_its_task_fails",
        "unit/test_error_texts.py::test_a_key_is_in_no_output",
        "embedded/test_logins.py::test_no_password_is_in_output_or_diff",
        "e2e/test_minio_store.py::test_no_secret_is_shown",
    ],
    "files for everybody": [
        f"{SECRETS}::test_what_is_for_everybody_on_the_host_and_the_connection_file_hold_no_secret",
        f"{SECRETS}::test_nothing_that_git_knows_holds_a_secret",
    ],
    # At the gateway
    "TLS 1.0 or 1.1": [
        f"{GATEWAY}::test_old_tls_is_refused",
        f"{GATEWAY}::test_new_tls_is_served_with_forward_secrecy_and_http2",
    ],
    "plain HTTP": [f"{GATEWAY}::test_plain_http_is_sent_to_https_and_a_password_on_it_is_not"],
    "a Host that is not in the certificate": [f"{GATEWAY}::test_a_forged_host_is_refused"],
    "an Origin that is not the platform's (MLflow, console)": [f"{GATEWAY}::test_a_page_of_another_origin_is_refused"],
    "headers or an address over 16 KB": [f"{GATEWAY}::test_what_is_no_request_gets_a_clear_answer"],
    "what is no HTTP, two Hosts": [f"{GATEWAY}::test_what_is_no_request_gets_a_clear_answer"],
    "`..` as part of a path, encoded or not": [f"{GATEWAY}::test_a_path_that_climbs_reaches_nobody"],
    "headers that take longer than 10 s, a body or a reader that stands still for 60 s": [
        f"{HOSTILE}::test_who_stands_still_is_let_go_and_holds_up_nobody"
    ],
    "a download of an artifact": [
        f"{ARTIFACTS}::test_an_artifact_comes_from_minio_once_mlflow_has_signed_its_address",
        f"{ARTIFACTS}::test_whatever_else_concerns_artifacts_is_mlflow_s_to_answer",
        f"{ARTIFACTS}::test_the_inner_steps_to_an_artifact_are_nobody_s_to_ask_for",
        f"{HOSTILE}::test_who_edits_one_experiment_sees_no_other_and_makes_none",
        "e2e/test_several_hosts.py::test_an_artifact_comes_from_the_object_store_s_host_if_that_is_who_it_says",
    ],
    "MinIO's administration and metrics on S3's port (`/minio/`, health aside)": [
        f"{GATEWAY}::test_minio_s_administration_is_not_for_the_network",
        f"{HOSTILE}::test_minio_is_not_administered_from_the_network_not_even_by_its_root",
    ],
    "failed logins": [
        f"{GATEWAY}::test_guessing_a_password_is_slowed_for_that_user_alone",
        f"{GATEWAY}::test_guessing_many_users_is_slowed_for_the_address",
        f"{GATEWAY}::test_guessing_the_console_s_password_is_slowed",
        f"{HOSTILE}::test_guessing_a_user_s_password_is_slowed_and_another_user_works_on",
    ],
}


def test_every_row_of_the_page_has_its_tests_and_every_entry_its_row() -> None:
    lines = (ROOT / "docs/security.md").read_text().splitlines()
    ruled = [number for number, line in enumerate(lines) if re.fullmatch(r"[|-]+", line)]
    tables = [number for number, line in enumerate(lines) if line.startswith("|")]
    first = [lines[n].split("|")[1].strip() for n in tables if {n, n + 1}.isdisjoint(ruled)]
    assert len(ruled) == 5 and sorted(first) == sorted(HELD_BY)


@pytest.mark.parametrize("test", sorted({test for tests in HELD_BY.values() for test in tests}))
def test_every_test_named_is_there(test: str) -> None:
    file, name = test.split("::")
    module = ast.parse((ROOT / "tests" / file).read_text())
    assert name in {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
