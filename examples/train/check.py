# SPDX-License-Identifier: Apache-2.0
"""Replay every model's cases.json in ONNX Runtime, without training anything."""

import common

for model in sorted(common.MODELS.iterdir()):
    common.check_cases(model.name)
