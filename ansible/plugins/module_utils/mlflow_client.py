"""What the module mlflow_users says to an MLflow server with logins: requests, and errors that name their fix."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

# Without workspaces everything is in this one.
WORKSPACE = "default"


class MlflowError(Exception):
    """What the server refused, or that it did not answer, with what to do about it."""


class Server:
    """An MLflow server, as one of its users reaches it."""

    def __init__(self, address: str, user: str, password: str, ca_file: str | None = None) -> None:
        self.address, self.user, self.ca_file = address.rstrip("/"), user, ca_file
        self.login = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, str]:
        """Return status and text of the answer.

        Raises:
            MlflowError: nobody answers at the address.
        """
        request = urllib.request.Request(
            f"{self.address}/api{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": self.login, "Content-Type": "application/json"},
            method=method,
        )
        try:
            context = ssl.create_default_context(cafile=self.ca_file) if self.address.startswith("https:") else None
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except (OSError, ValueError) as error:
            raise MlflowError(
                f"MLflow does not answer at {self.address}: {getattr(error, 'reason', error)}."
                " Start the server, or correct `server` and `ca_file`."
            ) from error

    def is_let_in(self) -> bool:
        """Whether the server accepts this name and password.

        Raises:
            MlflowError: it answers something else than yes or no.
        """
        status, text = self._send("GET", "/2.0/mlflow/users/current", None)
        if status not in (200, 401):
            raise MlflowError(f"MLflow at {self.address} answered {status} to the login of {self.user}: {text[:200]}")
        return status == 200

    def call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Return the server's answer; the body travels in the address when the method is GET.

        Raises:
            MlflowError: the server refused.
        """
        if method == "GET":
            status, text = self._send(method, f"{path}?{urllib.parse.urlencode(body)}" if body else path, None)
        else:
            status, text = self._send(method, path, body)
        if status == 200:
            return json.loads(text)
        fixes = {
            401: f"It does not know {self.user} by this password. The password was set when the server first started"
            " with logins: give that one, or change it in MLflow's own pages first",
            403: f"{self.user} is no administrator there: give the name and password of one",
            404: "It has no logins: start it with --app-name=basic-auth",
        }
        said = json.loads(text).get("message", text) if text.startswith("{") else text
        fix = fixes.get(status)
        raise MlflowError(
            f"MLflow at {self.address} answered {status} to {method} {path}: {said[:300].strip()}"
            + (f". {fix}." if fix else "")
        )

    def experiment_id(self, name: str) -> str | None:
        """The id of the experiment of this name, deleted ones included; None if there is none."""
        path = "/2.0/mlflow/experiments/get-by-name?" + urllib.parse.urlencode({"experiment_name": name})
        status, text = self._send("GET", path, None)
        if status == 404 and "RESOURCE_DOES_NOT_EXIST" in text:
            return None
        if status != 200:
            raise MlflowError(f"MLflow at {self.address} answered {status} about experiment {name!r}: {text[:200]}")
        return str(json.loads(text)["experiment"]["experiment_id"])
