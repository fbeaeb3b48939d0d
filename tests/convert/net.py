# SPDX-License-Identifier: Apache-2.0
"""The networks of tests/wire/test_convert_torch.py."""
from torch import nn


class Perceptron(nn.Module):
    def __init__(self, hidden=8):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(hidden, 3), nn.Softmax(dim=1))

    def forward(self, features):
        return self.net(features)


class Convolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
                                  nn.Conv2d(8, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.head = nn.Linear(16, 4)

    def forward(self, image):
        return self.head(self.body(image).flatten(1))
