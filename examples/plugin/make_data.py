#!/usr/bin/env python3
"""Writes train.csv and eval.csv: dates as numbers and in words, drawn with a fixed seed."""
import csv
import datetime
import pathlib
import random

here = pathlib.Path(__file__).parent
draw = random.Random(7)
first = datetime.date(1990, 1, 1).toordinal()
days = draw.sample(range(first, datetime.date(2030, 1, 1).toordinal()), 1200)
for name, part in (("train.csv", days[:1000]), ("eval.csv", days[1000:])):
    with open(here / name, "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["iso", "long"])
        for day in map(datetime.date.fromordinal, part):
            rows.writerow([day.isoformat(), f"{day.day} {day:%B} {day.year}"])
