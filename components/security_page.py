"""Prints docs/security.md from the rights: `python -m components.security_page`; `make docs` writes it."""

import sys
from collections.abc import Iterable

from components.deploying import DEPLOYING
from components.operating import ACTING, ADOPTED_ACTING, ADOPTED_BOUNDARY, ADOPTED_READING, BOUNDARY, READING
from components.rights import Right

HEAD = """\
# Who may do what

Four policies cover a stack: `deploy` for the role that runs `pulumi up`, `read` and `operate` for the operator of the runbook,
and `boundary`, which bounds the roles of the functions. A command prints each as JSON, divided where IAM's quota asks for it:

    .venv/bin/python -m components.access_policies deploy --stack production --account 111122223333 --boundary ARN
    .venv/bin/python -m components.access_policies operate --stack production --account 111122223333

Tests deploy, change and destroy the sandbox under exactly `deploy`, and migrate and roll back under exactly `operate`, with IAM enforced.
They fail if an action is missing, and if one is there that nothing calls. What they cannot check: the column of pulumi-aws,
`iam:PassRole`, conditions on tags, and the resources of the actions that `tests/access/conftest.py` lists, because MiniStack does not.

<!-- Made by `make docs` from components/deploying.py and components/operating.py. -->

"""
RULES = """\
## What keeps the roles apart

- **Names.** Pulumi calls everything of a stack `streamback-STACK-…`, and the patterns below allow these names. Entity tables
  are named in full. So one stack's role cannot touch another stack.
- **Boundary.** With `--boundary`, the deploying role can make a role only if it carries that policy. Set it in
  `permissionsBoundaryArn`. More rights than the boundary's then have no effect, whatever a function's policy says.
- **`iam:PassRole`.** A role can be handed to Lambda and to EventBridge Scheduler, and to no other service.
- **Tags.** Parts of the network have no names. They can be changed if they carry the stack's tag, `streamback:stack`.
- **Who takes the roles on.** `deploy` is for GitHub's environment of the stack, a read-only role is for pull requests:
  [pull_requests.md](pull_requests.md#set-it-up).
- **The Data API** has one action for reading and writing. So `read` could also write to Aurora, with SQL of its own. Give it to
  people who may read the data.

"""
ADOPTS = (
    "With `--adopt`, which takes the setting `adopt` as JSON, the adopted functions stand for `{function}`, and adopted tables "
    "for `{table}`."
)
NAMES = "`{stack}`, `{account}`, `{region}` and `{partition}` stand for the stack's own, `{table}` for each entity's table.\n\n"


def page() -> str:
    every = [(kind, right) for kind, rights in DEPLOYING.items() for right in rights]
    parts = [
        HEAD,
        RULES,
        "## `deploy`, by type of resource\n\n",
        "The last column has what pulumi-aws calls beside that, most of it to read what is there.\n",
        NAMES,
        "| type | on | actions | pulumi-aws also |\n|---|---|---|---|\n",
        *(
            f"| {_short(kind)} | {_on(each)} | {_names(each.actions)} | {_names(each.provider)} |\n"
            for kind, each in every
        ),
        *_section("`read`", "`status`, `preflight`, `copy status`, `quarantine list` and `history`.", READING),
        *_section("`operate`", "Every command of the runbook: `read`, and this.", ACTING),
        *_section("`boundary`", "What a function's role may have at most.", BOUNDARY),
        *_section("`read` of a stack that adopts", f"{ADOPTS} `read` has this, too.", ADOPTED_READING),
        *_section("`operate` of a stack that adopts", "Beside that of `read`.", ADOPTED_ACTING),
        *_section("`boundary` of a stack that adopts", "For the gate.", ADOPTED_BOUNDARY),
    ]
    return "".join(parts)


def _section(title: str, says: str, rights: Iterable[Right]) -> list[str]:
    rows = [f"| {_on(each)} | {_names(' '.join(each.every))} |\n" for each in rights]
    return [f"\n## {title}\n\n{says}\n\n", "| on | actions |\n|---|---|\n", *rows]


def _on(right: Right) -> str:
    condition = [f"if `{key}` is `{value}`" for keys in right.condition.values() for key, value in keys.items()]
    return "<br>".join([*(f"`{each}`" for each in right.on), *condition])


def _names(actions: str) -> str:
    return ", ".join(f"`{each}`" for each in sorted(actions.split()))


def _short(kind: str) -> str:
    """`aws:lambda/function:Function` → `lambda Function`."""
    _, module, name = kind.split(":")
    return f"{module.partition('/')[0]} {name}"


if __name__ == "__main__":
    sys.stdout.write(page())
