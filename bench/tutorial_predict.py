"""The prediction script of MLflow's tutorial: the newest version of the model, by pyfunc."""

import mlflow.pyfunc
from sklearn.datasets import load_iris

model = mlflow.pyfunc.load_model("models:/tutorial/latest")
rows = load_iris(as_frame=True).data.iloc[::10]
print(rows.assign(prediction=model.predict(rows)))
