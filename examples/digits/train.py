#!/usr/bin/env python3
"""Learns to read handwritten digits with a neural network of one hidden layer, in plain Python: nothing to install.

Reads digits.txt, prints loss and test accuracy after each epoch, and writes out/model.json and out/metrics.json.
The same seed and the same Python give the same numbers.
"""
import argparse
import json
import math
import operator
import os
import random
import time

PIXELS, CLASSES = 64, 10


def read_digits(path):
    """Lines of "LABEL PIXELS": 64 pixels from 0 (white) to G (16, black)."""
    digits = []
    with open(path, encoding="ascii") as lines:
        for line in lines:
            label, pixels = line.split()
            digits.append(([int(p, 17) / 16 for p in pixels], int(label)))
    return digits


def dot(a, b):
    return sum(map(operator.mul, a, b))


class Network:
    """64 pixels -> `hidden` rectified units -> softmax over 10 digits."""

    def __init__(self, hidden, rng):
        def layer(rows, columns):
            scale = math.sqrt(2 / columns)
            return [[rng.gauss(0, scale) for _ in range(columns)] for _ in range(rows)]

        self.w1, self.b1 = layer(hidden, PIXELS), [0.0] * hidden
        self.w2, self.b2 = layer(CLASSES, hidden), [0.0] * CLASSES

    def forward(self, pixels):
        hidden = [max(0.0, dot(row, pixels) + b) for row, b in zip(self.w1, self.b1)]
        scores = [dot(row, hidden) + b for row, b in zip(self.w2, self.b2)]
        top = max(scores)
        powers = [math.exp(s - top) for s in scores]
        total = sum(powers)
        return hidden, [p / total for p in powers]

    def learn(self, pixels, label, rate):
        """One step of stochastic gradient descent; returns the loss before it."""
        hidden, chance = self.forward(pixels)
        error = [p - (digit == label) for digit, p in enumerate(chance)]
        back = [dot(error, column) for column in zip(*self.w2)]
        for digit, e in enumerate(error):
            step = rate * e
            self.b2[digit] -= step
            self.w2[digit] = [w - step * h for w, h in zip(self.w2[digit], hidden)]
        for unit, active in enumerate(hidden):
            if active > 0:
                step = rate * back[unit]
                self.b1[unit] -= step
                self.w1[unit] = [w - step * p for w, p in zip(self.w1[unit], pixels)]
        return -math.log(max(chance[label], 1e-12))

    def read(self, pixels):
        chance = self.forward(pixels)[1]
        return chance.index(max(chance))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.path.join(here, "digits.txt"))
    parser.add_argument("--out", default="out", help="directory for model.json and metrics.json")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    rng = random.Random(args.seed)
    digits = read_digits(args.data)
    rng.shuffle(digits)
    train, test = digits[len(digits) // 5:], digits[:len(digits) // 5]
    print(f"{len(train)} digits to learn from, {len(test)} to be tested on; seed {args.seed}", flush=True)

    network = Network(args.hidden, rng)
    history = []
    begin = time.monotonic()
    for epoch in range(1, args.epochs + 1):
        rng.shuffle(train)
        rate = args.rate * (1 - (epoch - 1) / args.epochs)
        loss = sum(network.learn(pixels, label, rate) for pixels, label in train) / len(train)
        right = sum(network.read(pixels) == label for pixels, label in test)
        accuracy = right / len(test)
        history.append({"epoch": epoch, "loss": round(loss, 6), "test_accuracy": round(accuracy, 6)})
        print(f"epoch {epoch:2}/{args.epochs}  loss {loss:.4f}  test accuracy {accuracy:.1%}", flush=True)

    os.makedirs(args.out, exist_ok=True)
    with open(os.path.join(args.out, "model.json"), "w", encoding="ascii") as file:
        json.dump({"w1": network.w1, "b1": network.b1, "w2": network.w2, "b2": network.b2}, file)
    with open(os.path.join(args.out, "metrics.json"), "w", encoding="ascii") as file:
        json.dump({"seed": args.seed, "epochs": history, "test_accuracy": history[-1]["test_accuracy"],
                   "seconds": round(time.monotonic() - begin, 2)}, file, indent=1)
        file.write("\n")
    print(f"wrote {args.out}/model.json and {args.out}/metrics.json", flush=True)


if __name__ == "__main__":
    main()
