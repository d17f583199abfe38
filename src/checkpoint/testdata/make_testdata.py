"""Makes the stored files of this folder with the official writer (safetensors 0.8.0, torch 2.11.0).

    python make_testdata.py
"""
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.float8_e5m2, torch.float8_e4m3fn, torch.float8_e8m0fnu,
    torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.int16, torch.uint16, torch.float16, torch.bfloat16,
    torch.int32, torch.uint32, torch.float32, torch.complex64, torch.float64, torch.int64, torch.uint64,
]


def main():
    tensors = {}
    for dtype in DTYPES:
        name = str(dtype).removeprefix("torch.")
        count = 6 * dtype.itemsize
        raw = torch.arange(1, count + 1, dtype=torch.uint8)
        if dtype == torch.bool:
            raw = raw % 2
        tensors[f"{name}.matrix"] = raw.view(dtype).reshape(2, 3)
        tensors[f"{name}.scalar"] = raw[: dtype.itemsize].view(dtype)[0].clone()
        tensors[f"{name}.empty"] = torch.empty(0, 4, dtype=dtype)
    tensors['odd "name"\\\n\x01\x7f/ü 名'] = torch.ones(1)
    save_file(tensors, HERE / "all_dtypes.safetensors", {"format": "pt"})


if __name__ == "__main__":
    main()
