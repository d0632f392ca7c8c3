"""What both scripts ask of the tracking server, and how they put its failures into words."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from tables import InputError

PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
RUN_LEFT = 3  # exit status
# Importing makes half a million objects that stay. Looking through them again and again takes a tenth of a second,
# and looking through them at exit a third.
GARBAGE_THRESHOLD = 50_000


class RunLeftError(Exception):
    """A run could not be ended, and is RUNNING in MLflow for ever unless somebody else ends it."""


def prepare() -> None:
    """Set the environment MLflow reads at import; what the user set stays."""
    gc.set_threshold(GARBAGE_THRESHOLD)
    atexit.register(gc.freeze)
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        raise InputError('MLFLOW_TRACKING_URI is not set: eval "$(make env)", or export the address of your MLflow')
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message="Hint: Inferred schema contains integer")
    given = os.environ.get("MPLCONFIGDIR", "")
    if os.path.isdir(given) and not os.access(given, os.W_OK):  # matplotlib would leave its font list unread
        scratch = tempfile.mkdtemp(prefix="matplotlib-")
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        os.environ["MPLCONFIGDIR"] = shutil.copytree(given, scratch, dirs_exist_ok=True)


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """Until MLflow has answered once it gets little time, so that a dead server is told within 20 s."""
    own = {name: value for name, value in PATIENCE.items() if name not in os.environ}
    os.environ.update(own)
    try:
        yield
    finally:
        for name in own:
            del os.environ[name]


def end_run(status: str) -> None:
    """End the active run as FINISHED, FAILED or KILLED; raises RunLeftError when MLflow does not take it."""
    import mlflow

    try:
        mlflow.end_run(status)
    except Exception as error:
        raise RunLeftError(f"{explain(error)}; the run could not be ended and stays RUNNING") from error


def public_uri() -> str:
    """The address people open: MLFLOW_PUBLIC_URI, or where the script itself finds MLflow."""
    return (os.environ.get("MLFLOW_PUBLIC_URI") or os.environ["MLFLOW_TRACKING_URI"]).rstrip("/")


def explain(error: Exception) -> str:
    """One sentence for what MLflow raised, with what to do about it."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    text = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
    dead = ("Max retries exceeded", "Connection refused", "timed out", "Connection aborted")
    if any(sign in str(error) for sign in dead):
        return f"MLflow does not answer at {uri}: make status, make start, or correct MLFLOW_TRACKING_URI"
    if any(sign in str(error) for sign in ("error code 401", "error code 403", "PERMISSION_DENIED")):
        return f"MLflow at {uri} refuses this login: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    if "deleted state" in str(error) or "deleted experiment" in str(error):
        return f"{text}: restore it in the UI, or choose another with --experiment"
    return f"MLflow at {uri}: {text}"


def stop(number: int, _frame: Any) -> NoReturn:
    """Turn a signal into an exit that `finally` and MLflow see."""
    raise SystemExit(128 + number)


def run(main: Callable[[], None]) -> NoReturn:
    """Call `main` and exit: 0 done, 2 the input is at fault, 1 the server is, 3 it has a run left, 143 SIGTERM."""
    signal.signal(signal.SIGTERM, stop)
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except RunLeftError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(RUN_LEFT)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        print(f"error: {explain(error)}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("mlflow", "requests", "urllib3"):
            raise
        print(f"error: {explain(error)}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)


def find_version(name: str, alias: str | None, version: str | None) -> str:
    """The number of the model's version, by alias or by itself; InputError names what there is."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient()
    try:
        if version:
            return str(client.get_model_version(name, version).version)
        return str(client.get_model_version_by_alias(name, alias or "champion").version)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        names = ", ".join(model.name for model in client.search_registered_models(max_results=20))
        raise InputError(
            f"no registered model '{name}': train it (make train), or --model-name, one of: {names or '(none yet)'}"
        ) from error
    if version:
        newest = max((int(found.version) for found in client.search_model_versions(f"name='{name}'")), default=0)
        raise InputError(f"model '{name}' has no version {version}: --version N, the newest is {newest}")
    aliases = ", ".join(sorted(model.aliases)) or "(none)"
    raise InputError(f"model '{name}' has no alias '{alias}': --alias, one of: {aliases}, or --version N")


def load(name: str, version: str) -> tuple[Any, Any]:
    """The scikit-learn model of this version and its signature (None where it has none)."""
    import mlflow.artifacts
    import mlflow.sklearn
    from mlflow.models import Model

    folder = mlflow.artifacts.download_artifacts(f"models:/{name}/{version}")
    described = Model.load(folder)
    if "sklearn" not in described.flavors:
        raise InputError(f"model '{name}' version {version} is not a scikit-learn model: choose another")
    return mlflow.sklearn.load_model(folder), described.signature
