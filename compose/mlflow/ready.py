#!/opt/venv/bin/python -SE
"""Exit 0 if MLflow answers a query that reaches the database and one that reaches the bucket, else say which failed."""

import base64
import configparser
import sys
import urllib.error
import urllib.request

SERVER = "http://127.0.0.1:5000"
LOGINS = "/run/secrets/mlflow_auth"


def headers() -> dict[str, str]:
    """Return what a request carries: the administrator's login where there are logins."""
    logins = configparser.ConfigParser()
    if not logins.read(LOGINS):
        return {"Content-Type": "application/json"}
    login = f"{logins['mlflow']['admin_username']}:{logins['mlflow']['admin_password']}"
    encoded = base64.b64encode(login.encode()).decode()
    return {"Content-Type": "application/json", "Authorization": f"Basic {encoded}"}


def query(what: str, path: str, body: bytes | None = None) -> str | None:
    """Return None if the server answers `path` with 200, else a sentence that names `what`."""
    request = urllib.request.Request(SERVER + path, data=body, headers=headers())
    try:
        with urllib.request.urlopen(request, timeout=10):
            return None
    except urllib.error.HTTPError as error:
        if error.code == 401:
            return f"{what}: MLflow's administrator has another password than the one in the credentials file"
        return f"{what}: MLflow answered {error.code}: {error.read(500).decode(errors='replace')}"
    except OSError as error:
        return f"{what}: MLflow does not answer: {error}"


findings = [
    query("database", "/api/2.0/mlflow/experiments/search", b'{"max_results": 1}'),
    query("bucket", "/api/2.0/mlflow-artifacts/artifacts?path=readiness"),
]
sys.exit("; ".join(filter(None, findings)) or 0)
