"""Stores what transformers 5.17.0 makes of a sequence of evaluations: the best one, and when a run ends.

    python make_best_evaluations.py        writes data/best_evaluations.json

A list of cases:
    greater_is_better, patience, threshold
    values          of the metric, one an evaluation, every one with a checkpoint; null is NaN
    best            after each: index of the best evaluation, or -1 (Trainer._determine_best_metric)
    failures        after each: evaluations in a row without improvement (EarlyStoppingCallback)
    stops           after each: whether the callback ends the run
"""
import json
import random
from pathlib import Path
from types import SimpleNamespace

from transformers import EarlyStoppingCallback, Trainer
from transformers.trainer_callback import TrainerControl, TrainerState

OUT = Path(__file__).parent / "data" / "best_evaluations.json"


def run(values, greater, patience, threshold):
    args = SimpleNamespace(metric_for_best_model="loss", greater_is_better=greater, save_strategy="steps")
    trainer = SimpleNamespace(args=args, state=TrainerState(), control=TrainerControl())
    callback = EarlyStoppingCallback(patience, threshold)
    out = {"best": [], "failures": [], "stops": []}
    for i, value in enumerate(values):
        trainer.state.global_step = i + 1
        metrics = {"eval_loss": float("nan") if value is None else value}
        callback.on_evaluate(args, trainer.state, trainer.control, metrics)  # then the trainer, as it does
        Trainer._determine_best_metric(trainer, metrics, trial=None)
        out["best"].append((trainer.state.best_global_step or 0) - 1)
        out["failures"].append(callback.early_stopping_patience_counter)
        out["stops"].append(callback.early_stopping_patience_counter >= patience)
    return out


def main():
    draw = random.Random(7)
    cases = []
    for case in range(40):
        values = [round(draw.uniform(0, 2), draw.choice([1, 6])) for _ in range(12)]
        if case % 5 == 4:
            values[draw.randrange(12)] = None
        if case % 10 == 9:
            values[0] = None
        settings = {"greater_is_better": case % 2 == 1, "patience": draw.randint(1, 4),
                    "threshold": draw.choice([0.0, 0.0, 0.05, 0.3])}
        cases.append({**settings, "values": values, **run(values, *settings.values())})
    OUT.write_text(json.dumps(cases, indent=None, separators=(",", ":")).replace("},{", "},\n{") + "\n")


if __name__ == "__main__":
    main()
