"""Statistics of independent implementations, for test/drift/statistics.test.ts to be compared with.

SciPy, NumPy and Evidently do the work: nothing of Saccade's own code takes part. Made with (see "made_with" in the output):

    python3 -m venv venv && venv/bin/pip install -r loadtest/peers/drift-requirements.txt
    venv/bin/python test/reference/drift.py > test/reference/drift.json
"""
import json
import platform

import evidently
import numpy
import scipy
from evidently.legacy.calculations.stattests.psi import _psi
from evidently.legacy.core import ColumnType
from scipy import stats
from scipy.spatial.distance import jensenshannon

random = numpy.random.default_rng(7)


def counts():
    """Counts of two samples in the same bins: of different sizes, shapes and sparsity."""
    for bins, n, m in [(5, 200, 500), (20, 3000, 40000), (64, 500, 600), (2, 1000, 900), (40, 50, 30)]:
        shape = random.dirichlet(numpy.full(bins, 0.5))
        other = random.dirichlet(numpy.full(bins, 0.5))
        yield random.multinomial(n, shape), random.multinomial(m, 0.6 * shape + 0.4 * other)


def divergences():
    for reference, current in counts():
        r, c = reference / reference.sum(), current / current.sum()
        r1, c1 = numpy.where(r == 0, 0.0001, r), numpy.where(c == 0, 0.0001, c)
        values = numpy.arange(len(r))
        ks = stats.ks_2samp(numpy.repeat(values, reference), numpy.repeat(values, current)).statistic
        yield {
            "reference": reference.tolist(),
            "current": current.tolist(),
            "psi": float(numpy.sum((c1 - r1) * numpy.log(c1 / r1))),
            "js": float(jensenshannon(r, c, base=2)),
            "ks": float(ks),
        }


def evidently_psi():
    """Evidently on samples of categories, whose bins are the categories themselves: it cannot choose others than we do."""
    import pandas

    for reference, current in counts():
        samples = [pandas.Series(numpy.repeat([f"c{i:02}" for i in range(len(of))], of)) for of in (reference, current)]
        value, _ = _psi(samples[0], samples[1], ColumnType.Categorical, 0.1)
        kept = (reference + current) > 0
        yield {"reference": reference[kept].tolist(), "current": current[kept].tolist(), "psi": float(value)}


def adjusted():
    for n in (1, 2, 9, 40):
        p = random.uniform(size=n) ** 4
        yield {"p": p.tolist(), "q": stats.false_discovery_control(p, method="bh").tolist()}


def tails():
    for shape in (0.0, 0.1, 0.25, 0.4):
        for scale in (0.01, 3.0):
            excesses = [0.0, scale / 2, scale, 10 * scale, 200 * scale]
            yield {"shape": shape, "scale": scale, "excesses": excesses, "sf": stats.genpareto.sf(excesses, shape, scale=scale).tolist()}


def embeddings():
    """Two clouds of points: their standardised shift, and the MMD of given random Fourier features."""
    frequencies = random.normal(size=(24, 6)) * 1.5
    features = lambda x: numpy.concatenate([numpy.cos(x @ frequencies.T), numpy.sin(x @ frequencies.T)], axis=1) / numpy.sqrt(24)
    for move in (0.0, 0.3):
        reference, current = random.normal(size=(60, 6)), random.normal(size=(40, 6)) * 1.2 + move
        # With all the kernel's features the estimate is the mean of the kernel itself: computed here over all pairs.
        kernel = lambda a, b: (features(a) @ features(b).T).mean()
        shift = (current.mean(axis=0) - reference.mean(axis=0)) / reference.std(axis=0)
        yield {
            "frequencies": frequencies.tolist(),
            "reference": reference.tolist(),
            "current": current.tolist(),
            "mean_shift": float(numpy.sqrt(numpy.mean(shift**2))),
            "mmd": float(kernel(reference, reference) + kernel(current, current) - 2 * kernel(reference, current)),
        }


print(json.dumps({
    "made_with": {"python": platform.python_version(), "numpy": numpy.__version__, "scipy": scipy.__version__, "evidently": evidently.__version__},
    "divergences": list(divergences()),
    "evidently_psi": list(evidently_psi()),
    "adjusted": list(adjusted()),
    "tails": list(tails()),
    "embeddings": list(embeddings()),
}))
