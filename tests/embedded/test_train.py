"""Training against a real MLflow: what is recorded, which version is champion, what a signal leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.embedded import scripts

ML = Path(__file__).resolve().parents[2] / "ml"


@pytest.fixture
def run(trained: str, client):
    """The run of the first training."""
    return client.get_run(trained.split("/runs/")[1].split()[0])


def test_training_prints_the_run_page_the_accuracy_the_version_and_the_champion(trained: str) -> None:
    assert "Run          http://people.example:5000/#/experiments/" in trained
    assert "Accuracy     0.9" in trained
    assert "Model        iris-classifier version 1" in trained
    assert "Champion     version 1 is the first champion" in trained


def test_the_run_holds_metrics_and_parameters(run) -> None:
    assert {"accuracy", "f1_macro", "log_loss", "cv_accuracy_mean", "cv_accuracy_std"} <= set(run.data.metrics)
    assert run.data.params["n_estimators"] == "100"
    assert run.data.params["test_size"] == "0.2"
    assert run.info.status == "FINISHED"


def test_the_run_is_in_the_experiment_and_bears_its_job(run, client) -> None:
    assert client.get_experiment(run.info.experiment_id).name == "iris-classification"
    assert run.data.tags["platform.job"] == "first-job"


def test_the_run_holds_its_data_lineage(run) -> None:
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, [tag.value for tag in data.tags]) == ("iris", ["training"])


def test_the_run_holds_both_pictures(run, client) -> None:
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {
        "confusion_matrix.png",
        "feature_importance.png",
    }


def test_the_model_has_a_signature_of_doubles_and_an_example(run, client) -> None:
    import mlflow
    from mlflow.models import Model

    mlflow.set_tracking_uri(client.tracking_uri)
    model = Model.load(mlflow.artifacts.download_artifacts("models:/iris-classifier/1"))
    assert {str(spec.type) for spec in model.signature.inputs.inputs} == {"DataType.double"}
    assert model.saved_input_example_info is not None


def test_the_model_loads_as_a_stock_pyfunc(trained: str, client) -> None:
    import mlflow
    from sklearn.datasets import load_iris

    mlflow.set_tracking_uri(client.tracking_uri)
    model = mlflow.pyfunc.load_model("models:/iris-classifier/1")
    assert list(model.predict(load_iris(as_frame=True).data.head(2))) == ["setosa", "setosa"]


def test_the_champion_changes_only_for_a_model_that_is_no_worse(call, trained: str, client) -> None:
    name = "duel"
    common = ("--model-name", name, "--cv", 0)
    assert "is the first champion" in call("mlflow_experiment.py", *common).stdout
    worse = call("mlflow_experiment.py", *common, "--n-estimators", 1, "--max-depth", 1)
    assert worse.returncode == 0
    assert "Champion     stays version 1 (accuracy" in worse.stdout
    equal = call("mlflow_experiment.py", *common)
    assert "Champion     version 3 replaces version 1" in equal.stdout
    assert str(client.get_model_version_by_alias(name, "champion").version) == "3"


def test_a_champion_of_other_columns_stays_and_the_way_out_is_named(call, trained: str, tmp_path: Path) -> None:
    data = tmp_path / "other.csv"
    data.write_text("a,b,target\n" + "".join(f"{row},{row % 7},{'xy'[row % 2]}\n" for row in range(40)))
    done = call("mlflow_experiment.py", "--data", data, "--cv", 0)
    assert done.returncode == 0, done.stderr
    assert "stays version 1, which was trained on other columns: register this model under its own --model-name" in (
        done.stdout
    )


def test_a_signal_in_training_marks_the_run(environment, client, tmp_path: Path) -> None:
    client.create_experiment("stopped")
    process = subprocess.Popen(
        [sys.executable, str(ML / "mlflow_experiment.py"), "--experiment", "stopped", "--n-estimators", "100000"],
        env=environment,
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    experiment = client.get_experiment_by_name("stopped").experiment_id
    while not client.search_runs([experiment]):
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert client.search_runs([experiment])[0].info.status == "KILLED"


def test_a_run_left_running_by_a_killed_job_is_reaped(call, client) -> None:
    experiment = client.create_experiment("abandoned")
    lost = client.create_run(experiment, tags={"platform.job": "gone"}).info.run_id
    other = client.create_run(experiment, tags={"platform.job": "alive"}).info.run_id
    assert call("mlflow_reap.py", "gone").returncode == 0
    assert [client.get_run(run).info.status for run in (lost, other)] == ["KILLED", "RUNNING"]


ROWS = "".join(f"{row},{row % 5},{'xy'[row % 2]}\n" for row in range(20))
BAD = {
    "no target": ("a,b,kind\n" + ROWS, "has no target column 'species': --target"),
    "one class": ("a,b,species\n1,2,x\n3,4,x\n", "has one class only ('x')"),
    "text": ("a,b,species\n1,2,x\n3,four,y\n5,6,x\n7,8,y\n", "column 'b', row 2: 'four' is not a number"),
    "nan": ("a,b,species\n1,2,x\n3,4,y\n5,,x\n7,8,y\n", "column 'b', row 3: no value (NaN)"),
    "class nan": ("a,b,species\n1,2,x\n3,4,\n5,6,x\n", "column 'species', row 2: no class"),
    "too few": ("a,b,species\n1,2,x\n3,4,y\n5,6,x\n3,4,y\n", "cannot be split"),
    "empty": ("", "is empty"),
    "header only": ("a,b,species\n", "has a header and no rows"),
    "semicolons": ("a;b;species\n1;2;x\n", "is separated by semicolons"),
}


def test_bad_training_data_is_refused_and_leaves_no_run(client, environment, tmp_path: Path) -> None:
    """All at once."""
    started = {}
    for name, (text, _) in BAD.items():
        file = tmp_path / f"{name.replace(' ', '-')}.csv"
        file.write_text(text)
        started[name] = scripts.begin(
            "mlflow_experiment.py", ("--data", file, "--experiment", "bad"), tmp_path, environment
        )
    for name, (_, message) in BAD.items():
        done = scripts.end(started[name])
        assert done.returncode == 2, (name, done.stderr)
        assert done.stderr.startswith("error: ") and message in done.stderr, (name, done.stderr)
    assert client.get_experiment_by_name("bad") is None
