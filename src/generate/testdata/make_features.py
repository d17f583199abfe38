"""Stores small files of features and their Frechet distance (numpy, scipy.linalg.sqrtm).

    python make_features.py        writes .npy and .npz files beside itself, and prints the distance of frechet_test.cpp
"""
from pathlib import Path

import numpy as np
from scipy.linalg import sqrtm

OUT = Path(__file__).parent


def main():
    draw = np.random.default_rng(5)
    a = (draw.normal(size=(40, 8)) @ draw.normal(size=(8, 8)) * 0.4).astype(np.float32)
    b = draw.normal(size=(5, 8)) * 0.7 + 0.2
    np.save(OUT / "features_a.npy", a)
    np.savez(OUT / "features_b.npz", b)
    wide = a.astype(np.float64)
    np.savez(OUT / "statistics_a.npz", mu=wide.mean(0), sigma=np.cov(wide, rowvar=False))
    np.savez_compressed(OUT / "compressed.npz", b)
    np.save(OUT / "objects.npy", np.array([{}], dtype=object))
    ca, cb = np.cov(wide, rowvar=False), np.cov(b, rowvar=False)
    print(repr(((wide.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * sqrtm(ca @ cb).real)))


if __name__ == "__main__":
    main()
