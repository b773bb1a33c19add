"""`runbook openapi`."""

from functions.domain.openapi import contract
from runbook.commands import _output
from runbook.commands._options import EntitiesOption
from runbook.commands._session import Session, with_session


@with_session
def openapi(session: Session, entity: EntitiesOption = None) -> None:
    """Print the API that clients see, as an OpenAPI document."""
    target = session.context.target
    entities = {one.name: target.mapping[one.name] for one in target.chosen(entity)}
    _output.document(contract(entities, target.api_auth, target.api_url))
