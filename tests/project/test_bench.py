"""README says of the speed what docs/bench.json says, and the page explains every group of rows."""

from pathlib import Path

from sandbox.bench import document

ROOT = Path(__file__).parents[2]
RUNS = document.read(ROOT / "docs/bench.json")


def test_the_readmes_sentence_on_speed_is_that_of_the_last_run():
    readme = (ROOT / "README.md").read_text()
    assert document.with_sentence(readme, RUNS) == readme


def test_the_page_has_a_section_for_each_group_of_rows():
    titles = {line.removeprefix("## ") for line in (ROOT / "docs/bench.md").read_text().splitlines()}
    assert {row.group for run in RUNS for row in run.rows} - titles == set()


def test_no_two_rows_of_a_run_have_one_name():
    for run in RUNS:
        names = [(row.group, row.name) for row in run.rows]
        assert len(set(names)) == len(names)
