# SPDX-License-Identifier: Apache-2.0
"""Small PyTorch models, usage: make_torch.py DIR; FILE.want.json: {"input", "rows", "output"} as the framework answers."""
import json
import os
import sys

import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from net import Convolution, Perceptron  # noqa: E402


def want(path, name, model, rows):
    with torch.no_grad(), open(path + ".want.json", "w", encoding="utf-8") as f:
        json.dump({"input": name, "rows": rows.tolist(), "output": model(rows).tolist()}, f)


def main(out):
    torch.manual_seed(3)
    perceptron, convolution = Perceptron(hidden=16), Convolution()
    for _ in range(3):  # so that batch normalisation has something to remember
        convolution(torch.randn(8, 3, 16, 16))
    perceptron.eval()
    convolution.eval()
    path = os.path.join(out, "perceptron.pth")
    torch.save(perceptron.state_dict(), path)
    want(path, "features", perceptron, torch.randn(5, 6))
    path = os.path.join(out, "wrapped.ckpt")
    torch.save({"state_dict": perceptron.state_dict(), "epoch": 3}, path)
    path = os.path.join(out, "convolution.pt")
    torch.jit.script(convolution).save(path)
    want(path, "image", convolution, torch.randn(3, 3, 16, 16))
    torch.save(perceptron, os.path.join(out, "whole.pt"))


main(sys.argv[1])
