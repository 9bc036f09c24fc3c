"""Do job J9 the way most people write it: ``pandas_sklearn_job.py JOB THREADS FILE``.

pandas and scikit-learn choose their own threads.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error


def main() -> None:
    """Read the columns whole, compute each loss and print the answers as JSON."""
    file = sys.argv[3]
    rows = pd.read_parquet(file, columns=["prediction", "target", "probability", "label"])
    error = rows["target"] - rows["prediction"]
    size = error.abs()
    losses = {
        "mse": mean_squared_error(rows["target"], rows["prediction"]),
        "mae": mean_absolute_error(rows["target"], rows["prediction"]),
        "mbe": error.mean(),
        "huber": np.where(size <= 1, 0.5 * error**2, size - 0.5).mean(),
        "bce": log_loss(rows["label"], rows["probability"]),
    }
    results = [{"loss": name, "value": float(value)} for name, value in losses.items()]
    json.dump({"results": results}, sys.stdout)


if __name__ == "__main__":
    main()
