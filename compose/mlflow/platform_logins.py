"""MLflow's own basic auth, and beside it who may make what belongs to nothing yet, and at less cost.

A permission is on something that exists: MLflow lets everybody who can log in make experiments and models, and own
them. Here only administrators and those who hold the role `create` may.
"""

import re
from threading import Lock

from cachetools import LRUCache, TTLCache, cached
from flask import Response, g, has_request_context, request
from mlflow.server import auth
from mlflow.server.auth.entities import User
from werkzeug.datastructures import Authorization

ROLE = "create"
# The demo makes an experiment; the AI gateway and MCP servers are not what this platform is for.
MAKES = re.compile(r"/(experiments|registered-models)/create$|/demo/|/mlflow/gateway/|/mcp-servers\b")
# Who was an administrator counts as one for so much longer; a right password MLflow remembers for a minute.
SECONDS = 5

Judgement = tuple[tuple[str, str], list[auth.Requirement]]
look_up_user = auth.store.get_user
forget_password = auth._invalidate_user_auth_cache
judge_run = auth._run_requirement


def authenticate() -> Authorization | Response:
    """Return who asks, or the answer that turns them away."""
    found = auth.authenticate_request_basic_auth()
    if isinstance(found, Response) or request.method in ("GET", "HEAD", "OPTIONS") or not MAKES.search(request.path):
        return found
    user = auth.store.get_user(str(found.username))
    if user.is_admin or any(role.name == ROLE for role in auth.store.list_user_roles(user.id)):
        return found
    return auth.make_forbidden_response()


@cached(TTLCache(maxsize=1024, ttl=SECONDS), lock=Lock())
def remembered_user(name: str) -> User:
    """Return a user as the database had them at most `SECONDS` ago; raises MlflowException if there is none."""
    return look_up_user(name)


def get_user(name: str) -> User:
    """Return a user; raises MlflowException if there is none. The one who asks is asked for many times a second."""
    sender = getattr(g, "mlflow_authenticated_user", None) if has_request_context() else None
    return remembered_user(name) if name == sender else look_up_user(name)


def forget_user(username: str) -> None:
    """Forget a user who has been changed here; the other workers do within `SECONDS`."""
    remembered_user.cache_clear()
    forget_password(username)


@cached(LRUCache(maxsize=10_000), lock=Lock())
def remembered_run(run_id: str, action: str) -> Judgement:
    """Return the experiment a run is in, which it never leaves, and what an action on it requires.

    Raises:
        LookupError: there is no such run, which is not remembered.
    """
    found: Judgement | None = judge_run(run_id, action)
    if found is None:
        raise LookupError(run_id)
    return found


def run_requirement(run_id: str, action: str) -> Judgement | None:
    """Return the experiment a run is in and what an action on it requires, or None if there is no such run."""
    try:
        experiment, requirements = remembered_run(run_id, action)
    except LookupError:
        return None
    return experiment, list(requirements)


# Else MLflow asks its database for the user twice a request, and on each call about a run for all that the run holds.
vars(auth.store)["get_user"] = get_user
auth._invalidate_user_auth_cache = forget_user
auth._run_requirement = run_requirement
