# SPDX-License-Identifier: Apache-2.0
"""What a scenario is given: how long and how often to measure, and a folder for its files."""


class Context:
    def __init__(self, folder, quick, rounds, seconds):
        self.folder, self.quick = folder, quick
        self.rounds = rounds or (2 if quick else 5)
        self.seconds = seconds or (1 if quick else 4)

    def pick(self, full, quick):
        return quick if self.quick else full

    @staticmethod
    def say(text):
        print(f"   {text}", flush=True)

    def measure(self, steps):
        """Runs the named steps in turns, `rounds` times; a step returns a dict with "rps". A list of dicts each."""
        found = {name: [] for name in steps}
        for i in range(self.rounds):
            for name, step in steps.items():
                found[name].append(step())
            self.say(f"round {i + 1} of {self.rounds}: " +
                     ", ".join(f"{name} {found[name][-1]['rps']:,.0f}/s" for name in steps))
        return found
