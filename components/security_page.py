"""Prints docs/security.md from the rights: `python -m components.security_page`; `make docs` writes it."""

import sys
from collections.abc import Iterable

from components.deploying import DEPLOYING
from components.operating import (
    ACTING,
    ADOPTED_ACTING,
    ADOPTED_BOUNDARY,
    ADOPTED_LOOKING_UP,
    ADOPTED_READING,
    BOUNDARY,
    READING,
)
from components.previewing import PREVIEWING, SECRETS_READING, SECRETS_WRITING, STATE_READING, STATE_WRITING
from components.rights import Right

HEAD = """\
# Who may do what

Five policies cover a stack: `deploy` for the role that runs `pulumi up`, `preview` for that of a pull request, `read` and
`operate` for the operator of the runbook, and `boundary`, which bounds the roles of the functions. A command prints each as JSON, divided where IAM's quota asks for it:

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
- **`iam:PassRole`.** A role can be handed to Lambda, EventBridge Scheduler and Step Functions, and to no other service.
- **Tags.** Parts of the network have no names. They can be changed if they carry the stack's tag, `streamback:stack`.
- **`preview`** is what `deploy` has of actions that get, list or describe. It reads settings and no data: no item, no object of the
  stack's bucket, no secret. With `stateBucket` it reads the stack's state, and with `stateKeyArn` it decrypts the secrets in it.
- **The Data API** has one action for reading and writing. So `read` could also write to Aurora, with SQL of its own. Give it to
  people who may read the data.

## The roles

The setting `repository` has the stack make the roles, with exactly these policies. Their ARNs are outputs of the stack.

| output | policy | who takes the role on |
|---|---|---|
| `previewRoleArn` | `preview` | jobs with the subject `repo:OWNER/NAME:pull_request` or `repo:OWNER/NAME:ref:refs/heads/main` |
| `deployRoleArn` | `deploy` | jobs with the subject `repo:OWNER/NAME:environment:STACK` |
| `operateRoleArn` | `read` and `operate` | the ARNs in `operators` |
| `readRoleArn` | `read` | the ARNs in `readers` |

- GitHub's tokens must be for `sts.amazonaws.com`, and their subject must be one of these whole. The policy pack refuses less.
- An account has one OIDC provider for GitHub. The first stack makes it. Name it in `oidcProviderArn` in the others, and in the
  first if the account has one already.
- `stateBucket` and `stateKeyArn` name where Pulumi's state is. `preview` may read this stack's state, and `deploy` may write it.
- **The first `pulumi up` is an administrator's**, because no role is there yet:

      pulumi config set streamback:repository OWNER/NAME
      pulumi up

  Then set the two workflows' ARNs as variables of the repository ([pull_requests.md](pull_requests.md#set-it-up)).
- **Every later change of the roles is an administrator's, too.** `deploy` can read the roles and cannot change them, so what is merged
  cannot widen its own rights. `up.yml` then fails with `AccessDenied` at the role, and the same `pulumi up` by an administrator
  completes it. A new entity changes them, because its table is named in them.
- Without `repository` the stack makes none of them. Make them yourself from what the command above prints.

"""
ADOPTS = (
    "With `--adopt`, which takes the setting `adopt` as JSON, the adopted functions stand for `{function}`, adopted tables for "
    "`{table}`, the cluster or instance and its secret for `{cluster}`, `{instance}` and `{secret}`."
)
NAMES = "`{stack}`, `{account}`, `{region}` and `{partition}` stand for the stack's own, `{table}` for each entity's table.\n\n"
STATE = "Where `stateBucket` and `stateKeyArn` are set."


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
        *_section("`preview`", "What `pulumi preview --refresh` calls.", PREVIEWING),
        *_section("Pulumi's state, for `preview`", STATE, (*STATE_READING, *SECRETS_READING)),
        *_section("Pulumi's state, for `deploy`", STATE, (*STATE_WRITING, *SECRETS_WRITING)),
        *_section("`read`", "`status`, `preflight`, `copy status`, `quarantine list` and `history`.", READING),
        *_section("`operate`", "Every command of the runbook: `read`, and this.", ACTING),
        *_section("`boundary`", "What a function's role may have at most.", BOUNDARY),
        *_section(
            "`deploy` and `preview` of a stack that adopts", f"{ADOPTS} Both have this, too.", ADOPTED_LOOKING_UP
        ),
        *_section("`read` of a stack that adopts", "`read` has this, too.", ADOPTED_READING),
        *_section("`operate` of a stack that adopts", "Beside that of `read`.", ADOPTED_ACTING),
        *_section(
            "`boundary` of a stack that adopts",
            "For the gate, and the functions that work on the cluster.",
            ADOPTED_BOUNDARY,
        ),
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
