#!/usr/bin/python3
"""Writes the seeds of fuzz/tabular into a folder: small models that use every part
of the formats, needs python3-xgboost."""
import os
import sys

import numpy as np
import xgboost

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
r = np.random.RandomState(0)
x = r.randint(0, 5, size=(60, 2)).astype(np.float32)
y = x[:, 0] - x[:, 1] % 3


def save(name, params, y=y, rounds=2, **kw):
    params = dict({"max_depth": 2, "seed": 0}, **params)
    booster = xgboost.train(params, xgboost.DMatrix(x, y, **kw), rounds)
    for suffix in ("json", "ubj"):
        booster.save_model(os.path.join(folder, f"{name}.{suffix}"))
        os.rename(os.path.join(folder, f"{name}.{suffix}"),
                  os.path.join(folder, f"{name}_{suffix}"))


save("regression", {})
save("binary", {"objective": "binary:logistic"}, y > 0)
save("classes", {"objective": "multi:softprob", "num_class": 3}, np.clip(y + 1, 0, 2))
save("dart", {"booster": "dart"})
save("linear", {"booster": "gblinear"})
save("categories", {"tree_method": "hist", "max_cat_to_onehot": 1},
     feature_types=["c", "q"], enable_categorical=True)
