"""Windows judged by Evidently (its DataDriftPreset as it comes) and by SciPy's tests (KS, and chi-square for labels, with
Benjamini-Hochberg at 0.05 and at 0.001). Reads the windows, writes the share of each lot that was called drifted.

    python drift.py WINDOWS.json VERDICTS.json
"""
import json
import logging
import sys
import warnings

import pandas
from evidently import Report
from evidently.presets import DataDriftPreset
from scipy import stats

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)

given = json.load(open(sys.argv[1]))
references = [pandas.DataFrame(rows) for rows in given["references"]]


def evidently(reference, current):
    """Its two ways to call a window drifted: half of the columns, or any of them."""
    metrics = Report([DataDriftPreset()]).run(current, reference).dict()["metrics"]
    drifted = next(m["value"] for m in metrics if isinstance(m["value"], dict) and "share" in m["value"])
    return drifted["share"] >= 0.5, drifted["count"] >= 1


def scipy_p(reference, current):
    for name in reference.columns:
        a, b = reference[name].dropna(), current[name].dropna()
        if reference[name].dtype == object:
            labels = sorted(set(a) | set(b))
            table = [[(of == label).sum() for label in labels] for of in (a, b)]
            yield stats.chi2_contingency(table).pvalue if len(labels) > 1 else 1.0
        elif len(a) and len(b):
            yield stats.ks_2samp(a, b).pvalue


def judge(window):
    reference, current = references[window["half"]], pandas.DataFrame(window["rows"])
    half, any_column = evidently(reference, current)
    q = min(stats.false_discovery_control(list(scipy_p(reference, current)), method="bh"))
    return {"evidently, half": half, "evidently, any": any_column, "scipy, 0.05": q <= 0.05, "scipy, 0.001": q <= 0.001}


verdicts = {}
for lot in given["lots"]:
    judged = [judge(window) for window in lot["windows"]]
    verdicts[lot["name"]] = {name: float(sum(one[name] for one in judged) / len(judged)) for name in judged[0]}
json.dump(verdicts, open(sys.argv[2], "w"))
