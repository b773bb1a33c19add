"""`runbook init` where a legacy table is missing: it makes none unasked, or beside one of nearly the same name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from journal_states import force_phase

from functions.domain.entities import Entities
from functions.domain.phase import Phase
from runbook import init
from runbook.errors import PreconditionError


def aimed(context, **legacy):
    """The context with chefs in another legacy table."""
    mapping = context.target.mapping
    chefs = replace(mapping["chefs"], legacy=replace(mapping["chefs"].legacy, **legacy))
    entities = Entities({**mapping, "chefs": chefs}, mapping.raw)
    return replace(context, target=replace(context.target, mapping=entities))


def test_nothing_is_missing_where_all_is_there(prepared):
    assert init.missing_tables(prepared) == []
    assert {one.name: one.result for one in init.run(prepared)}["legacy tables"] == "unchanged"


@pytest.mark.parametrize("legacy", [{"table": "mistyped"}, {"database": "mistyped"}], ids=str)
def test_a_missing_table_is_an_error_that_names_it_and_both_ways_on(prepared, legacy):
    context = aimed(prepared, **legacy)
    with pytest.raises(PreconditionError, match="mistyped") as raised:
        init.run(context)
    assert "--create-tables" in raised.value.remedy
    assert "entities.toml" in raised.value.remedy
    assert init.missing_tables(prepared) == []


def test_a_name_that_differs_in_case_is_refused_whether_tables_may_be_made_or_not(prepared):
    context = aimed(prepared, table="ChefTable")
    for create_tables in (False, True):
        with pytest.raises(PreconditionError, match=r"no table chefdb\.ChefTable, and has chefdb\.cheftable"):
            init.run(context, create_tables=create_tables)


def test_the_table_of_a_complete_entity_may_be_gone(prepared):
    context = aimed(prepared, table="dropped_since")
    force_phase(prepared, "chefs", Phase.COMPLETE)
    try:
        assert init.missing_tables(context) == []
    finally:
        force_phase(prepared, "chefs", Phase.LEGACY)
