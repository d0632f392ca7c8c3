"""MLflow's own basic auth, and beside it who may make what belongs to nothing yet.

A permission is on something that exists: MLflow lets everybody who can log in make experiments and models, and own
them. Here only administrators and those who hold the role `create` may.
"""

import re

from flask import Response, request
from mlflow.server import auth
from werkzeug.datastructures import Authorization

ROLE = "create"
# The demo makes an experiment; the AI gateway and MCP servers are not what this platform is for.
MAKES = re.compile(r"/(experiments|registered-models)/create$|/demo/|/mlflow/gateway/|/mcp-servers\b")


def authenticate() -> Authorization | Response:
    """Return who asks, or the answer that turns them away."""
    found = auth.authenticate_request_basic_auth()
    if isinstance(found, Response) or request.method in ("GET", "HEAD", "OPTIONS") or not MAKES.search(request.path):
        return found
    user = auth.store.get_user(str(found.username))
    if user.is_admin or any(role.name == ROLE for role in auth.store.list_user_roles(user.id)):
        return found
    return auth.make_forbidden_response()
