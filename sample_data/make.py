"""Make the sample data: real predictions of small models on scikit-learn's bundled data sets.

Run ``python sample_data/make.py`` to write every file next to this script, or add ``--check`` to
make them in a temporary folder and compare them with the files that are there. Nothing is
downloaded, and no model predicts a row that it was fitted on.

The needed packages are NumPy, pandas, PyArrow and scikit-learn with the SciPy and threadpoolctl
that it brings along.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.base import BaseEstimator
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

Array = NDArray[Any]
Tables = dict[str, pa.Table]  # the rows of each file, by its name without the suffix

FOLDER = Path(__file__).parent
SEED = 20
FAINT_INK = 5  # of 16, the darkest
TOLERANCE = 1e-6  # other versions of the libraries may move the last bits of a fit


def logistic_regression(strength: float) -> Pipeline:
    """Return a logistic regression on scaled features, `strength` being scikit-learn's C.

    Newton's method comes close to the one optimum, and so to what other versions find.
    """
    model = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-10)
    return make_pipeline(StandardScaler(), model)


def out_of_fold(features: Array, target: Array, strength: float) -> tuple[Array, Array]:
    """Return the probabilities and the scores of a logistic regression for rows it did not see."""
    folds = StratifiedKFold(5, shuffle=True, random_state=SEED)
    model = logistic_regression(strength)
    probability = cross_val_predict(model, features, target, cv=folds, method="predict_proba")
    score = cross_val_predict(model, features, target, cv=folds, method="decision_function")
    return probability, score


def significant(values: Array) -> Array:
    """Round to six significant digits, which keeps a small probability from becoming 0."""
    return np.array([float(f"{value:.6g}") for value in values.flat]).reshape(values.shape)


def columns(prefix: str, matrix: Array) -> dict[str, Array]:
    """Return the columns of a matrix under the names prefix_0, prefix_1, ..."""
    return {f"{prefix}_{number}": column for number, column in enumerate(matrix.T)}


def table(**values: Array) -> pa.Table:
    """Return a table in which a matrix is one list-typed column, with a list for each row."""
    return pa.table({n: pa.array(list(v)) if np.ndim(v) > 1 else v for n, v in values.items()})


def diabetes() -> Tables:
    """Predict the progression of diabetes by two models, out of fold."""
    # Unscaled, the age is in years, and sex is 1 or 2.
    patients = load_diabetes(as_frame=True, scaled=False)
    features, target = patients.data, patients.target.to_numpy()
    folds = KFold(10, shuffle=True, random_state=SEED)
    ridge = make_pipeline(StandardScaler(), Ridge(alpha=10.0))
    # Small leaves would make ties between splits, which every version breaks in its own way.
    shape = {"max_depth": 2, "min_samples_leaf": 20, "subsample": 0.5}
    boosted = GradientBoostingRegressor(learning_rate=0.05, **shape, random_state=SEED)
    row = np.arange(len(target))

    def predicted(model: BaseEstimator) -> pa.Table:
        return table(id=row, prediction=cross_val_predict(model, features, target, cv=folds))

    sex = np.where(features["sex"] == 1, "female", "male")
    age = features["age"].to_numpy().astype(np.int64)
    group = np.digitize(age, [40, 60])
    age_group = np.array(["<40", "40-59", "60+"])[group]
    weight = (len(age) / 3 / np.bincount(group))[group]  # every age group counts alike
    return {
        "diabetes_predictions": predicted(ridge),
        "diabetes_predictions_boosted": predicted(boosted),
        "diabetes_targets": table(
            id=row, target=target, sex=sex, age_group=age_group, age=age, weight=weight
        ),
    }


def breast_cancer() -> Tables:
    """Predict whether a tumour is malignant."""
    tumours = load_breast_cancer()
    target = 1 - tumours.target  # scikit-learn has 0 for malignant
    probability, score = out_of_fold(tumours.data, target, strength=0.1)
    rows = table(
        id=np.arange(len(target)),
        prediction=probability[:, 1],
        score=score,
        target=target,
        diagnosis=np.array(["benign", "malignant"])[target],
    )
    return {"breast_cancer": rows}


def iris() -> Tables:
    """Predict the species of an iris."""
    flowers = load_iris()
    probability, _ = out_of_fold(flowers.data, flowers.target, strength=1.0)
    rows = table(
        id=np.arange(len(flowers.target)),
        **{f"p_{name}": probability[:, k] for k, name in enumerate(flowers.target_names)},
        species=flowers.target_names[flowers.target],
        target=flowers.target,
    )
    return {"iris": rows}


def digits() -> Tables:
    """Predict a handwritten digit, as probabilities and as scores of the same model."""
    images, target = load_digits(return_X_y=True)
    probability, score = out_of_fold(images, target, strength=0.1)
    row = np.arange(len(target))
    return {
        "digits": table(id=row, **columns("p", significant(probability)), target=target),
        "digits_scores": table(id=row, **columns("score", np.round(score, 6)), target=target),
    }


def tight_box(mask: Array) -> tuple[int, int, int, int]:
    """Return x1, y1, x2, y2 around the pixels of a mask, x2 and y2 being just outside."""
    y, x = np.nonzero(mask)
    return x.min(), y.min(), x.max() + 1, y.max() + 1


def detect(canvas: Array, threshold: float) -> tuple[int, int, int, int]:
    """Return the box of the largest region of a noisy canvas that is bright when blurred."""
    bright = ndimage.gaussian_filter(canvas, sigma=1.5) > threshold
    regions, _ = ndimage.label(bright, structure=np.ones((3, 3)))
    return tight_box(regions == 1 + np.bincount(regions.flat)[1:].argmax())


def boxes() -> Tables:
    """Find a digit that was pasted at a random place and size on a noisy canvas."""
    rng = np.random.default_rng(SEED)
    images, label = load_digits(return_X_y=True)
    row = np.sort(rng.choice(len(label), 300, replace=False))
    prediction, target = [], []
    for image in images[row].reshape(-1, 8, 8):
        canvas = np.zeros((64, 96))
        height, width = rng.integers(16, 49, 2)
        y, x = rng.integers(0, (64 - height + 1, 96 - width + 1))
        stretched = image[np.arange(height)[:, None] * 8 // height, np.arange(width) * 8 // width]
        canvas[y : y + height, x : x + width] = stretched
        target.append(tight_box(canvas > 0))
        prediction.append(detect(canvas + rng.normal(0, 9, canvas.shape), FAINT_INK))
    sides = [f"{role}_{xy}{n}" for role in ("prediction", "target") for n in (1, 2) for xy in "xy"]
    corners = np.hstack([prediction, target])
    return {"boxes": table(id=row, digit=label[row], **dict(zip(sides, corners.T, strict=True)))}


def masks() -> Tables:
    """Segment the ink in noisy 8x8 crops of digits, pixel by pixel.

    A crop may miss the digit altogether, so that its target and often its prediction are empty.
    """
    rng = np.random.default_rng(SEED)
    images = np.pad(rng.permutation(load_digits().images)[:500], ((0, 0), (8, 8), (8, 8)))
    y, x = np.clip(np.rint(rng.normal(8, 4, (2, 500))), 0, 16).astype(int)
    crops = sliding_window_view(images, (8, 8), axis=(1, 2))[np.arange(500), y, x]
    ink = (crops > FAINT_INK).reshape(500, 64)
    # A pixel is judged by the 3x3 noisy pixels around it.
    noisy = np.pad(crops + rng.normal(0, 4, crops.shape), ((0, 0), (1, 1), (1, 1)))
    features = sliding_window_view(noisy, (3, 3), axis=(1, 2)).reshape(500, 64, 9)
    model = logistic_regression(1.0).fit(features[:300].reshape(-1, 9), ink[:300].ravel())
    probability = model.predict_proba(features[300:].reshape(-1, 9))[:, 1].reshape(-1, 64)
    rows = table(
        prediction=np.rint(probability).astype(np.uint8),
        target=ink[300:].astype(np.uint8),
        probability=significant(probability),
    )
    return {"masks": rows}


def embedded_digits() -> tuple[Array, Array]:
    """Return digits not seen in the fit, as near-unit vectors in 8 dimensions, and their labels."""
    images, label = load_digits(return_X_y=True)
    seen, unseen, seen_label, unseen_label = train_test_split(
        images, label, test_size=0.5, stratify=label, random_state=SEED
    )
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.5, n_components=8)
    vectors = model.fit(seen, seen_label).transform(unseen)
    # An eigenvector is known up to its sign only: make its largest entry positive.
    axes = model.scalings_[:, :8]
    vectors *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(8)])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # Multiples of 1/1024 are exact in float32 and short in decimal; adding 0 turns -0 into 0.
    return (np.rint(1024 * vectors) / 1024 + 0.0).astype(np.float32), unseen_label


def draw(rng: np.random.Generator, label: Array, row: int, count: int = 1, *, same: bool) -> Array:
    """Draw different rows, never the given one, that have the same label or another one."""
    wanted = (label == label[row]) == same
    wanted[row] = False
    return rng.choice(np.nonzero(wanted)[0], count, replace=False)


def pairs() -> Tables:
    """Pair embedded digits, about half of the pairs showing the same digit twice."""
    rng = np.random.default_rng(SEED)
    vectors, label = embedded_digits()
    left = rng.choice(len(label), 400, replace=False)
    right = np.concatenate([draw(rng, label, row, same=rng.choice([True, False])) for row in left])
    same = label[left] == label[right]
    rows = table(
        left=vectors[left],
        right=vectors[right],
        target=np.where(same, 0, 1),
        similarity_label=np.where(same, 1, -1),
    )
    return {"pairs": rows}


def triplets() -> Tables:
    """Give each embedded digit a partner showing the same digit and one showing another."""
    rng = np.random.default_rng(SEED)
    vectors, label = embedded_digits()
    anchor = rng.choice(len(label), 300, replace=False)
    positive = np.concatenate([draw(rng, label, row, same=True) for row in anchor])
    negative = np.concatenate([draw(rng, label, row, same=False) for row in anchor])
    rows = table(anchor=vectors[anchor], positive=vectors[positive], negative=vectors[negative])
    return {"triplets": rows}


def rankings() -> Tables:
    """Score candidates by their similarity (inner product) with an exemplar, the query."""
    rng = np.random.default_rng(SEED)
    vectors, label = embedded_digits()
    query, prediction, target = [], [], []
    for number, exemplar in enumerate(rng.choice(len(label), 60, replace=False)):
        positives = draw(rng, label, exemplar, int(rng.integers(1, 8)), same=True)
        negatives = draw(rng, label, exemplar, int(rng.integers(7, 14)), same=False)
        chosen = rng.permutation(np.concatenate([positives, negatives]))
        query.append(f"q{number:02d}-digit-{label[exemplar]}")
        prediction.append(vectors[chosen].astype(float) @ vectors[exemplar].astype(float))
        target.append((label[chosen] == label[exemplar]).astype(int))
    long = {"prediction": np.concatenate(prediction), "target": np.concatenate(target)}
    grouped = {
        role: [p[t == value] for p, t in zip(prediction, target, strict=True)]
        for role, value in (("positive", 1), ("negative", 0))
    }
    return {
        "rankings": table(query=np.repeat(query, [len(group) for group in target]), **long),
        "rankings_lists": pa.table({"query": query, **grouped}),
    }


def gan() -> Tables:
    """Judge unseen real digits and freshly generated ones by a trained discriminator.

    The generator draws from one Gaussian for each digit. The discriminator is a logistic
    regression on the pixels and their squares.
    """
    rng = np.random.default_rng(SEED)
    images, label = load_digits(return_X_y=True)
    order = rng.permutation(len(label))
    train, test = order[500:], np.sort(order[:500])
    of_digit = [images[train][label[train] == digit] for digit in range(10)]
    centres = [seen.mean(axis=0) for seen in of_digit]
    factors = [np.linalg.cholesky(np.cov(seen.T) + 0.1 * np.eye(64)) for seen in of_digit]

    def generate(count: int) -> Array:
        drawn = [centres[k] + factors[k] @ rng.normal(size=64) for k in rng.integers(0, 10, count)]
        return np.clip(np.rint(drawn), 0, 16)

    def with_squares(pixels: Array) -> Array:
        return np.hstack([pixels, pixels**2])

    shown = np.concatenate([images[train], generate(len(train))])
    is_real = np.repeat([1, 0], len(train))
    discriminator = logistic_regression(0.003).fit(with_squares(shown), is_real)

    names = [f"real-{row}" for row in test] + [f"generated-{number}" for number in range(400)]
    judged = with_squares(np.concatenate([images[test], generate(400)]))
    both = table(
        id=np.array(names),
        prediction=discriminator.predict_proba(judged)[:, 1],
        score=discriminator.decision_function(judged),
        target=np.repeat([1, 0], [500, 400]),
    )
    unlabelled = both.drop_columns("target")
    return {"gan_real": unlabelled[:500], "gan_generated": unlabelled[500:], "gan": both}


DATA_SETS = (diabetes, breast_cancer, iris, digits, boxes, masks, pairs, triplets, rankings, gan)
PARQUET_ONLY = {"rankings_lists"}  # its lists differ in length


def write_csv(rows: pa.Table, path: Path) -> None:
    """Write a CSV file in which a list column becomes the columns name_0, name_1, ..."""
    flat: dict[str, Array] = {}
    for name in rows.column_names:
        # A float32 becomes a Python float, so that its digits name the same number to any reader.
        values = np.array(rows[name].to_pylist())
        flat |= columns(name, values) if values.ndim > 1 else {name: values}
    pd.DataFrame(flat).to_csv(path, index=False, lineterminator="\n")


def write(folder: Path) -> None:
    """Write the files of every data set."""
    for make in DATA_SETS:
        for name, rows in make().items():
            path = folder / f"{name}.parquet"
            pq.write_table(rows, path, compression="zstd", use_dictionary=False)
            if name not in PARQUET_ONLY:
                write_csv(rows, path.with_suffix(".csv"))


def read(path: Path) -> pd.DataFrame:
    """Read a CSV or a Parquet file."""
    return pd.read_csv(path) if path.suffix == ".csv" else pq.read_table(path).to_pandas()


def differences(made: Path, present: Path) -> Iterator[str]:
    """Yield a message for each file that is not what this script makes."""
    names, present_names = (
        {path.name for path in folder.iterdir() if path.suffix in {".csv", ".parquet"}}
        for folder in (made, present)
    )
    yield from (f"{name}: missing, or not made here" for name in sorted(names ^ present_names))
    for name in sorted(names & present_names):
        old, new = present / name, made / name
        try:
            pd.testing.assert_frame_equal(read(old), read(new), rtol=TOLERANCE, atol=TOLERANCE)
        except AssertionError as error:
            yield f"{name}: {str(error).splitlines()[0]}"
        else:
            if new.suffix == ".parquet" and pq.read_schema(old) != pq.read_schema(new):
                yield f"{name}: other types of columns"


def main() -> str | None:
    """Write the files, or compare those that are there and say what differs."""
    parser = argparse.ArgumentParser(description="Make the files of sample_data.")
    parser.add_argument("--check", action="store_true", help="compare, write nothing here")
    check = parser.parse_args().check
    # One thread adds numbers in the same order on any number of cores.
    with threadpool_limits(1), tempfile.TemporaryDirectory() as temporary:
        write(Path(temporary) if check else FOLDER)
        problems = list(differences(Path(temporary), FOLDER)) if check else []
    return "\n".join(problems) or None


if __name__ == "__main__":
    sys.exit(main())
