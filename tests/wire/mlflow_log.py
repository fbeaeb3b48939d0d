# SPDX-License-Identifier: Apache-2.0
"""Runs in the environment that has MLflow: logs and registers models as a data scientist does.

usage: mlflow_log.py URI NAME MODEL... ; the last version gets the alias champion and the stage Production."""
import sys

import mlflow
import mlflow.onnx
import onnx
from mlflow import MlflowClient

uri, name, *paths = sys.argv[1:]
mlflow.set_tracking_uri(uri)
client = MlflowClient(uri)
for path in paths:
    with mlflow.start_run():
        mlflow.onnx.log_model(onnx.load(path), name="model", registered_model_name=name, pip_requirements=[],
                              save_as_external_data=False)
newest = str(len(paths))
client.set_registered_model_alias(name, "champion", newest)
client.transition_model_version_stage(name, newest, "Production")
