"""Stores learning rate multipliers of transformers 5.17.0 and lmms_engine 0.1.4.

    python make_schedules.py        writes data/schedules.json

A list of cases:
    source          "transformers" (get_scheduler) or "lmms_engine" (its fsdp2 trainer's own formulas)
    name, kwargs    lr_scheduler_type and lr_scheduler_kwargs
    warmup_steps, total_steps, learning_rate
    multipliers     [k] is learning rate / learning_rate for the update k, counted from 0; some lie beyond total_steps
    metrics         only reduce_lr_on_plateau and greedy: metrics[k] is reported after the update k
"""
import json
import math
from pathlib import Path

import torch
from lmms_engine.utils import fsdp2_utils as engine
from transformers import get_scheduler

OUT = Path(__file__).parent / "data" / "schedules.json"
TOTAL = 50
BEYOND = 5

# name -> kwargs of up to three configurations; each is run without warm-up and with one of 7 steps.
TRANSFORMERS = {
    "linear": [{}],
    "cosine": [{}, {"num_cycles": 1.5}],
    "cosine_with_restarts": [{}, {"num_cycles": 3}],
    "polynomial": [{}, {"power": 2.0, "lr_end": 1e-6}],
    "constant": [{}],
    "constant_with_warmup": [{}],
    "inverse_sqrt": [{}, {"timescale": 20}],
    "cosine_with_min_lr": [{"min_lr_rate": 0.1}, {"min_lr": 5e-6, "num_cycles": 1.0}],
    "cosine_warmup_with_min_lr": [
        {"min_lr_rate": 0.1}, {"min_lr": 5e-6, "warmup_lr_rate": 0.2}, {"min_lr_rate": 0.0, "num_cycles": 1.0}],
    "warmup_stable_decay": [
        {"num_decay_steps": 10},
        {"num_decay_steps": 12, "num_stable_steps": 20, "decay_type": "linear", "min_lr_ratio": 0.1},
        {"num_decay_steps": 15, "warmup_type": "cosine", "decay_type": "1-sqrt", "min_lr_ratio": 0.05},
        {"num_decay_steps": 10, "warmup_type": "1-sqrt", "num_cycles": 1.0},
    ],
}
METRIC_DRIVEN = {
    "reduce_lr_on_plateau": [{}, {"factor": 0.5, "patience": 2, "min_lr": 1e-6}, {"patience": 1, "cooldown": 3, "mode": "max"},
                             {"patience": 1, "threshold": 0.05, "threshold_mode": "abs", "eps": 1e-5}],
    "greedy": [
        {}, {"factor": 0.9, "patience": 2, "min_lr": 1e-5, "max_lr": 1e-3},
        {"patience": 1, "cooldown": 2, "warmup": 2, "min_lr": 1e-5, "max_lr": 4e-4, "smooth": True, "window_size": 4,
         "threshold_mode": "rel", "threshold": 1e-3},
        {"patience": 0, "factor": 0.5, "min_lr": 1e-4, "max_lr": 4e-4, "reset_start": 3, "smooth": True, "window_size": 3},
        {"patience": 0, "factor": 0.5, "min_lr": 1e-4, "mode": "max", "reset_start": 2, "cooldown": 1, "eps": 1e-3}],
}
ENGINE = {
    "cosine": [{}, {"min_lr_ratio": 0.1}, {"min_lr_ratio": 0.2, "num_cycles": 1.0}],
    "wsd": [{}, {"stable_ratio": 0.5, "min_lr_ratio": 0.1}, {"stable_ratio": 0.75, "num_cycles": 1.0}],
    "constant": [{}],
}


def optimizer(learning_rate):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=learning_rate)


def run(schedule, base, metrics=None):
    """The multipliers of updates 0 to TOTAL + BEYOND - 1."""
    group = schedule.optimizer.param_groups[0]
    result = []
    for k in range(TOTAL + BEYOND):
        result.append(group["lr"] / base)
        schedule.optimizer.step()
        schedule.step(*([] if metrics is None else [metrics[k]]))
    return result


def metric_curve():
    """A loss that falls, stalls, rises and falls again."""
    return [round(3 - 0.1 * min(k, 15) + 0.3 * math.sin(k / 6) - 0.05 * max(k - 35, 0), 6) for k in range(TOTAL + BEYOND)]


def transformers_cases():
    for warmup in (0, 7):
        for name, configurations in TRANSFORMERS.items():
            for kwargs in configurations:
                base = 2e-5
                schedule = get_scheduler(name, optimizer(base), warmup, TOTAL, kwargs)
                yield dict(source="transformers", name=name, kwargs=kwargs, warmup_steps=warmup, total_steps=TOTAL,
                           learning_rate=base, multipliers=run(schedule, base))
    for name, configurations in METRIC_DRIVEN.items():
        for kwargs in configurations:
            base = 2e-4
            metrics = metric_curve()
            schedule = get_scheduler(name, optimizer(base), 0, TOTAL, kwargs)
            yield dict(source="transformers", name=name, kwargs=kwargs, warmup_steps=0, total_steps=TOTAL,
                       learning_rate=base, metrics=metrics, multipliers=run(schedule, base, metrics))


def engine_cases():
    for warmup in (0, 7):
        for name, configurations in ENGINE.items():
            for kwargs in configurations:
                base = 2e-5
                target = optimizer(base)
                if name == "cosine":
                    schedule = engine.get_cosine_schedule_with_warmup(target, warmup, TOTAL, **kwargs)
                elif name == "wsd":
                    schedule = engine.get_wsd_schedule_with_warmup(target, warmup, TOTAL, **kwargs)
                else:
                    schedule = engine.get_constant_schedule(target, warmup)
                yield dict(source="lmms_engine", name=name, kwargs=kwargs, warmup_steps=warmup, total_steps=TOTAL,
                           learning_rate=base, multipliers=run(schedule, base))


def main():
    cases = [*transformers_cases(), *engine_cases()]
    lines = ",\n".join(json.dumps(case) for case in cases)
    OUT.write_text(f"[\n{lines}\n]\n")
    print(f"{len(cases)} cases, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
