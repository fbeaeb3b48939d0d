# SPDX-License-Identifier: Apache-2.0
"""A small network as SavedModel, Keras file and TFLite, usage: make_tensorflow.py DIR; want.json: {"rows", "output"}."""
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402


def main(out):
    tf.random.set_seed(1)
    model = tf.keras.Sequential([tf.keras.layers.Input((5,), name="features"), tf.keras.layers.Dense(8, activation="relu"),
                                 tf.keras.layers.Dense(3, activation="softmax")])
    model.save(os.path.join(out, "model.keras"))
    model.export(os.path.join(out, "saved"), verbose=False)
    with open(os.path.join(out, "model.tflite"), "wb") as f:
        f.write(tf.lite.TFLiteConverter.from_saved_model(os.path.join(out, "saved")).convert())
    rows = np.random.default_rng(5).standard_normal((4, 5)).astype(np.float32)
    with open(os.path.join(out, "want.json"), "w", encoding="utf-8") as f:
        json.dump({"rows": rows.tolist(), "output": model(rows).numpy().tolist()}, f)


main(sys.argv[1])
