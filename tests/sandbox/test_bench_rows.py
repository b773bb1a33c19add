"""The bench's ratios, spreads, table, JSON, chart and sentence, from rows that nothing was measured for."""

from __future__ import annotations

import json
import re
from io import StringIO
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from sandbox.bench import chart, document, rounds
from sandbox.bench.__main__ import grouped
from sandbox.bench.document import Run
from sandbox.bench.rows import Goal, Spread, alone, compared, figure_text, goal_text, ratio_text, spread_text
from sandbox.bench.table import WIDTH, table

FAST = compared("bridge", "inserts 1 KB, article", "/s", [5000, 6000, 4000], [100, 100, 50], Goal(at_least=50))
SLOW = compared("bridge", "inserts 1 KB, tutorial", "/s", [5000, 6000, 4000], [500, 500, 500], Goal(at_least=25))
BATCH = compared("bridge", "inserts 1 KB, BatchExecute", "/s", [5000, 6000, 4000], [2500, 2000, 4000])
WRITE = compared("legacy write", "direct, capture+fence", "us", [300], [250], Goal(at_most=1.25))
SWITCH = alone("switch", "longest wait 200/s, 10,000", "s", [0.4], Goal(at_most=1))
ROWS = [FAST, SLOW, BATCH, WRITE, SWITCH]


def run(name="mariadb", rows=ROWS, date="2026-11-27T10:00Z"):
    return Run(name=name, quick=True, date=date, machine="2 cores, x86_64, Python 3.11.2", rows=rows)


def printed(rows):
    console = Console(width=WIDTH, file=StringIO(), force_terminal=False)
    console.print(table(rows, "bench"))
    return console.file.getvalue()


def test_a_ratio_is_that_of_each_rounds_pair():
    assert FAST.ratio == Spread(median=60, low=50, high=80)
    assert FAST.measured == Spread(median=5000, low=4000, high=6000)


def test_a_name_that_the_table_has_no_room_for_is_an_error():
    with pytest.raises(ValueError, match="31 characters"):
        alone("group", "n" * 32, "s", [1.0])


def test_a_pair_that_is_missing_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        compared("group", "name", "s", [1, 2], [1])


def test_a_goal_is_for_the_ratio_or_for_the_figure_that_has_none():
    assert [row.met for row in ROWS] == [True, False, None, True, True]
    assert alone("switch", "cutover", "s", [11], Goal(at_most=10)).met is False


def test_figures_ratios_and_goals_are_short():
    assert figure_text(123_456, "/s") == "123,456/s"
    assert [figure_text(value, "USD") for value in (0.0142, 1.45)] == ["$0.014", "$1.45"]
    assert [figure_text(value, "ms") for value in (0.123, 12.3, 1234)] == ["0.12 ms", "12.3 ms", "1,234 ms"]
    assert [ratio_text(value) for value in (0.0071, 0.123, 9.99, 138.4)] == ["0.007x", "0.12x", "9.99x", "138x"]
    assert [goal_text(row) for row in ROWS] == [">= 50x", ">= 25x", "", "<= 1.25x", "<= 1 s"]
    assert [spread_text(row) for row in ROWS] == ["50-80", "8.00-12", "1.00-3.00", "", ""]


def test_the_table_has_80_columns_and_each_group_once():
    lines = printed(ROWS).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert [line.strip() for line in lines if line and line[0].isalpha()] == ["bridge", "legacy write", "switch"]
    assert "60x" in next(line for line in lines if "article" in line)


def test_variants_take_turns_and_every_other_round_has_the_opposite_order():
    order = []

    def variant(name):
        return lambda: order.append(name) or float(len(order))

    found = rounds.interleaved({name: variant(name) for name in "ab"}, 2)
    assert "".join(order) == "ababba"
    assert found == {"a": [3.0, 6.0], "b": [4.0, 5.0]}


def test_a_percentile_is_a_value_that_was_measured():
    values = list(range(100, 0, -1))
    assert [rounds.percentile(values, share) for share in (0.5, 0.99, 1.0)] == [51, 100, 100]
    assert rounds.percentile([7.0], 0.5) == 7.0


def test_a_run_is_read_as_it_was_written_and_replaces_the_one_of_its_name(tmp_path):
    path = tmp_path / "docs" / "bench.json"
    document.add(path, run())
    document.add(path, run("mysql"))
    runs = document.add(path, run(date="2026-12-01T10:00Z"))
    assert [(each.name, each.date[:10]) for each in runs] == [("mariadb", "2026-12-01"), ("mysql", "2026-11-27")]
    assert document.read(path) == [run(date="2026-12-01T10:00Z"), run("mysql")]
    assert json.loads(path.read_text())["runs"][0]["rows"][0]["ratio"] == {"median": 60.0, "low": 50.0, "high": 80.0}


def test_a_run_with_latency_has_a_name_of_its_own():
    assert document.name_of("mysql", "") == "mysql"
    assert document.name_of("mysql", "aws") == "mysql, latency aws"


def test_the_sentence_is_from_the_main_run_and_stands_between_its_comments():
    readme = f"before {document.BEGIN}old{document.END} after"
    made = document.with_sentence(readme, [run("mysql", []), run()])
    assert made.startswith(f"before {document.BEGIN}The bridge inserts records of 1 KB 60 times as fast")
    assert made.endswith(f"{document.END} after")
    assert "10 times as fast as one ExecuteStatement for each record, and 2.0 times" in made
    assert document.with_sentence(made, [run()]) == made


def test_without_a_main_run_or_its_row_there_is_no_sentence():
    with pytest.raises(LookupError, match="make bench"):
        document.sentence([run("mysql")])
    with pytest.raises(LookupError, match="article"):
        document.sentence([run(rows=[WRITE])])


def test_the_chart_has_a_bar_and_a_goal_for_each_ratio_that_has_one():
    drawn = chart.chart(ROWS, "ratios & goals")
    root = ET.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    bars = list(root.iter(f"{space}rect"))
    assert [each.get("class") for each in bars] == ["met", "missed", "met"]
    assert sum(each.get("class") == "goal" for each in root.iter(f"{space}line")) == 3
    assert "prefers-color-scheme: dark" in drawn
    assert not re.search(r"@import|url\(|href", drawn)


def test_a_bar_is_as_long_as_the_logarithm_of_its_ratio():
    ratios = [compared("g", "n", "s", [value], [1], Goal(at_least=1)) for value in (10, 100, 10**6)]
    widths = [float(width) for width in re.findall(r'<rect[^>]* width="([\d.]+)"', chart.chart(ratios, "x"))]
    assert widths[1] == pytest.approx(2 * widths[0])
    assert widths[2] == pytest.approx(3 * widths[0])  # as far as the axis goes


def test_rows_of_one_group_stand_together_in_the_order_of_the_first():
    mixed = [FAST, WRITE, SLOW, SWITCH, BATCH]
    assert grouped(mixed) == [FAST, SLOW, BATCH, WRITE, SWITCH]
