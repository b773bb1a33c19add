"""The workflows: their shell steps run here as they stand, and what can write runs nothing of a pull request."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github/workflows"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yml"))}
KEPT = Path(__file__).with_name("comment.md")
PROGRAM = ("__main__.py", "Pulumi.yaml", "entities.toml", "components", "functions")
# What the version before the pull request said otherwise, by file.
BEFORE = {
    "components/legacy.py": ('"functions.legacy.read.handler")', '"functions.legacy.read.handler", transactions=True)'),
    "components/modern.py": ('name=f"{args.table_prefix}', 'name=f"old-{args.table_prefix}'),
    "components/bridge.py": ('Alarm("late"', 'Alarm("behind"'),
    "components/copy.py": ("TIMEOUT = 300", "TIMEOUT = 200"),
}


def step(workflow, job, name):
    """The shell of a step."""
    (found,) = (each for each in WORKFLOWS[workflow]["jobs"][job]["steps"] if each.get("name") == name)
    return found["run"]


def run(script, folder, **environment):
    """Run a step's shell as GitHub does."""
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    outputs = {"GITHUB_STEP_SUMMARY": str(folder / "summary"), "GITHUB_OUTPUT": str(folder / "outputs")}
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **outputs, **environment}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def checkout(tmp_path):
    """A folder as the runner has it: this version with its environment, and the one before in `base`."""
    for name in (".venv", "ci"):
        (tmp_path / name).symlink_to(ROOT / name)
    base = tmp_path / "base"
    base.mkdir()
    for name in PROGRAM:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, base / name)
    for name, (now, before) in BEFORE.items():
        text = (base / name).read_text()
        assert now in text, f"{name} has changed: adapt BEFORE"
        (base / name).write_text(text.replace(now, before))
    return tmp_path


def uncounted(text):
    """A comment without the number of resources that stay as they are."""
    return re.sub(r"\d+ unchanged", "N unchanged", text)


def test_the_steps_of_a_preview_write_the_comment(checkout):
    done = run(step("preview", "sandbox", "Preview on the sandbox"), checkout)
    assert done.returncode == 0, done.stderr
    done = run(step("preview", "text", "Text of the comment"), checkout, NUMBER="7")
    assert done.returncode == 0, done.stderr
    made = (checkout / "comment/comment.md").read_text()
    assert uncounted(made) == uncounted(KEPT.read_text()), made
    assert (checkout / "comment/number").read_text() == "7\n"
    assert (checkout / "summary").read_text() == made
    assert (checkout / "outputs").read_text() == "failed=0\n"


def test_a_program_that_cannot_run_is_a_comment_and_a_failed_check(checkout):
    (checkout / "base/__main__.py").write_text("raise ValueError('no table')\n")
    assert run(step("preview", "sandbox", "Preview on the sandbox"), checkout).returncode == 0
    assert run(step("preview", "text", "Text of the comment"), checkout, NUMBER="7").returncode == 0
    assert "the preview failed" in (checkout / "comment/comment.md").read_text()
    assert "ValueError: no table" in (checkout / "comment/comment.md").read_text()
    assert (checkout / "outputs").read_text() == "failed=1\n"


GH = """#!/bin/bash
echo "${*//$'\n'/ }" >> calls
case "$*" in
  *pulls/7*) echo abc ;;
  *"issues/7/comments --jq"*) cat before ;;
  *"issue list"*) cat before ;;
esac
"""


@pytest.fixture
def github(tmp_path):
    """Runs a step with a `gh` that notes its calls; `before` is what it finds."""
    (tmp_path / "comment").mkdir()
    (tmp_path / "comment/number").write_text("7\n")
    (tmp_path / "comment/comment.md").write_text("text")
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"

    def calls(script, before="", **environment):
        (tmp_path / "before").write_text(before)
        (tmp_path / "calls").write_text("")
        done = run(script, tmp_path, PATH=path, REPOSITORY="own/streamback", **environment)
        assert done.returncode == 0, done.stderr
        return [line for line in (tmp_path / "calls").read_text().splitlines() if not re.search("--jq|list", line)]

    return calls


def test_a_comment_is_posted_once_and_then_changed_in_place(github):
    post = step("comment", "post", "Post")
    (first,) = github(post, HEAD="abc")
    assert first == "api --method POST repos/own/streamback/issues/7/comments --field body=@comment/comment.md"
    (second,) = github(post, "99\n", HEAD="abc")
    assert second == "api --method PATCH repos/own/streamback/issues/comments/99 --field body=@comment/comment.md"


def test_a_number_of_another_pull_request_posts_nothing(github):
    assert github(step("comment", "post", "Post"), HEAD="of-the-fork") == []


def test_drift_opens_one_issue_changes_it_and_closes_it(github, tmp_path):
    script = step("drift", "issue", "Open, update or close the issue")
    (tmp_path / "ci").symlink_to(ROOT / "ci")
    (tmp_path / "previews").mkdir()
    changed = (Path(__file__).with_name("preview.jsonl")).read_text()
    (tmp_path / "previews/dev.jsonl").write_text(changed)
    (opened,) = github(script, TITLE="Drift")
    assert opened == "issue create --title Drift --body-file drift.md"
    (edited,) = github(script, "3\n", TITLE="Drift")
    assert edited == "issue edit 3 --body-file drift.md"
    (tmp_path / "previews/dev.jsonl").write_text("")
    (closed,) = github(script, "3\n", TITLE="Drift")
    assert closed.startswith("issue close 3")
    assert github(script, TITLE="Drift") == []


def triggers(workflow):
    return workflow[True]  # YAML reads `on` as true


def jobs():
    return [(file, job) for file, workflow in WORKFLOWS.items() for job in workflow["jobs"].values()]


def test_a_pull_request_reaches_no_token_that_can_write():
    for workflow in WORKFLOWS.values():
        assert workflow["permissions"] == {}
        assert "pull_request_target" not in triggers(workflow)
    for file, job in jobs():
        if "pull_request" in triggers(WORKFLOWS[file]):
            assert job["permissions"].keys() <= {"contents", "id-token"}
            assert job["permissions"]["contents"] == "read"


def test_a_role_is_for_pull_requests_of_this_repository_only():
    with_role = [(file, job) for file, job in jobs() if "id-token" in job["permissions"]]
    assert [file for file, _ in with_role] == ["drift", "preview", "up"]
    for file, job in with_role:
        if file == "preview":
            assert "head.repo.full_name == github.repository" in job["if"]


def test_what_can_comment_checks_out_and_runs_nothing_of_the_pull_request():
    (job,) = WORKFLOWS["comment"]["jobs"].values()
    uses = [each["uses"] for each in job["steps"] if "uses" in each]
    assert [each.partition("@")[0] for each in uses] == ["actions/download-artifact"]
    assert not re.search(r"python|make|bash|source", step("comment", "post", "Post"))


def test_no_workflow_uses_a_secret():
    assert not [path.name for path in FOLDER.glob("*.yml") if "secrets." in path.read_text()]


def test_every_action_is_pinned_by_a_commit_with_its_version():
    for path in FOLDER.glob("*.yml"):
        for line in re.findall(r"uses: (.+)", path.read_text()):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), f"{path.name}: {line}"


def test_a_stack_is_changed_by_one_job_at_a_time_after_an_approval():
    up = WORKFLOWS["up"]["jobs"]["up"]
    assert up["concurrency"] == {"group": "stack-${{ matrix.stack }}", "cancel-in-progress": False}
    assert up["environment"] == "${{ matrix.stack }}"


def test_the_workflows_install_the_pulumi_of_the_lock():
    (pinned,) = re.findall(r"^pulumi==([\d.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    found = {each for path in FOLDER.glob("*.yml") for each in re.findall(r"pulumi-version: (.+)", path.read_text())}
    assert found == {pinned}
