"""The training script of MLflow's tutorial: autolog, and a model logged with requirements found by inference."""

import mlflow
import mlflow.sklearn
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

x, y = load_iris(return_X_y=True, as_frame=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=42)
mlflow.set_experiment("tutorial")
mlflow.autolog()
with mlflow.start_run():
    model = RandomForestClassifier(n_estimators=100, random_state=42)
    model.fit(x_train, y_train)
    mlflow.log_metric("accuracy", accuracy_score(y_test, model.predict(x_test)))
    mlflow.sklearn.log_model(
        model,
        name="model",
        signature=infer_signature(x_train, model.predict(x_train)),
        input_example=x_train.head(5),
        registered_model_name="tutorial",
        skops_trusted_types=["sklearn.tree._tree.Tree"],  # without it MLflow refuses the forest
    )
