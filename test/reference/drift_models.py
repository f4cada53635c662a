"""What scikit-learn and NannyML make of the same numbers: domain classifier, isotonic calibration, estimated accuracy.
Needs scikit-learn 1.9 and nannyml 0.13.

    python drift_models.py > drift-models.json
"""
import json
import warnings

import numpy
from nannyml.performance_estimation.confidence_based.metrics import estimate_accuracy
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

warnings.simplefilter("ignore")
random = numpy.random.default_rng(7)
FOLDS, PENALTY = 3, 10


def classifier():
    return LogisticRegression(C=1 / PENALTY, class_weight="balanced", solver="newton-cholesky", tol=1e-12, max_iter=1000)


def regression(rows, size, shift):
    x = random.normal(size=(rows, size))
    y = random.random(rows) < 0.3
    x[y] += shift
    fitted = classifier().fit(x, y)
    return {"rows": x.tolist(), "labels": y.tolist(), "weights": fitted.coef_[0].tolist(), "intercept": float(fitted.intercept_[0])}


def blocks(count, shift):
    """Whole numbers, a few rows in each block, blocks unlike each other; one column never varies."""
    made = [numpy.rint(100 * (random.normal(size=6) + random.normal(size=(int(random.integers(4, 9)), 6)) + shift)) for _ in range(count)]
    for rows in made:
        rows[:, 5] = 7
    return made


def domain(reference, now):
    fold_of = lambda i, of: (i * FOLDS) // len(of)
    x = numpy.concatenate(reference + now)
    y = numpy.concatenate([numpy.zeros(sum(map(len, reference)), bool), numpy.ones(sum(map(len, now)), bool)])
    fold = numpy.concatenate([[fold_of(i, part)] * len(rows) for part in (reference, now) for i, rows in enumerate(part)])
    scores = numpy.empty(len(x))
    for f in range(FOLDS):
        model = make_pipeline(StandardScaler(), classifier()).fit(x[fold != f], y[fold != f])
        scores[fold == f] = model.decision_function(x[fold == f])
    whole = lambda part: [rows.astype(int).tolist() for rows in part]
    return {"reference": whole(reference), "now": whole(now), "auc": float(roc_auc_score(y, scores))}


def area(n, ties):
    labels = random.random(n) < 0.4
    scores = random.normal(size=n) + labels
    scores = numpy.round(scores) if ties else scores
    return {"scores": scores.tolist(), "labels": labels.tolist(), "auc": float(roc_auc_score(labels, scores))}


def isotonic(n):
    values, weights = random.random(n) + numpy.arange(n) / n, random.integers(1, 50, n).astype(float)
    return {"values": values.tolist(), "weights": weights.tolist(), "fitted": IsotonicRegression().fit_transform(numpy.arange(n), values, sample_weight=weights).tolist()}


def accuracy(judged, current):
    """Confidence in fiftieths, calibrated by isotonic regression; NannyML's accuracy of answers that are all taken to be right."""
    scores, now = random.beta(4, 2, judged), random.beta(3, 2, current)
    right = random.random(judged) < scores**1.5
    step = lambda s: numpy.minimum(49, numpy.floor(s * 50))
    calibrated = IsotonicRegression(out_of_bounds="clip").fit(step(scores), right)
    # Between two steps it draws a line; ours stays on the step before.
    known = numpy.unique(step(scores))
    nearest = known[numpy.maximum(0, numpy.searchsorted(known, step(now), side="right") - 1)]
    estimate = estimate_accuracy(numpy.ones(current), calibrated.predict(nearest))
    return {"scores": scores.tolist(), "right": right.tolist(), "now": now.tolist(), "accuracy": float(estimate)}


print(json.dumps({
    "regressions": [regression(60, 3, 0.5), regression(200, 8, 0.2), regression(80, 4, 4.0)],
    "domains": [domain(blocks(12, 0), blocks(5, 0)), domain(blocks(20, 0), blocks(10, 0.7)), domain(blocks(9, 0), blocks(4, 3))],
    "areas": [area(50, False), area(80, True)],
    "isotonic": [isotonic(10), isotonic(50)],
    "accuracies": [accuracy(300, 200), accuracy(1000, 400)],
}))
