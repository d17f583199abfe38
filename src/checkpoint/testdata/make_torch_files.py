"""Stores small files of torch.save (torch 2.11.0) and what they hold.

    python make_torch_files.py        writes torch_*.pt and torch_*.safetensors beside itself

    torch_training.pt         what a script of training saves: model, ema, optimiser, arguments (an argparse.Namespace)
    torch_bare.pt             a state dict of all element types, with views, shared storages, strides, scalars and an empty tensor;
                              torch_bare.safetensors: the same tensors
    torch_ema.safetensors     what is taken of torch_training.pt
    torch_legacy.pt           the format before torch 1.6
    torch_calls.pt            asks for os.system
    torch_numpy.pt            holds a scalar of numpy
"""
import argparse
import os
from collections import OrderedDict
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file

OUT = Path(__file__).parent


class Calls:
    def __reduce__(self):
        return os.system, ("echo this must never run > /dev/null",)


def main():
    torch.manual_seed(3)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    ema = OrderedDict((k, v * 2) for k, v in model.state_dict().items())
    args = argparse.Namespace(lr=1e-4, name="SiT-XL/2", sizes=[1, 2], nothing=None, big=1 << 40, negative=-5, flag=True, ratio=-0.5)
    torch.save({"model": model.state_dict(), "ema": ema, "opt": optimizer.state_dict(), "args": args}, OUT / "torch_training.pt")
    save_file(dict(ema), OUT / "torch_ema.safetensors")

    base = torch.randn(4, 6)
    tensors = {
        "parameter": torch.nn.Parameter(torch.randn(2, 3)),
        "bf16": torch.randn(5).bfloat16(),
        "f16": torch.randn(3).half(),
        "f64": torch.randn(2, 2).double(),
        "i64": torch.arange(-2, 3),
        "i32": torch.arange(3, dtype=torch.int32),
        "i16": torch.arange(3, dtype=torch.int16),
        "i8": torch.arange(-1, 3, dtype=torch.int8),
        "u8": torch.arange(250, 256, dtype=torch.uint8),
        "u16": torch.tensor([1, 65535], dtype=torch.uint16),
        "f8": torch.randn(4).to(torch.float8_e4m3fn),
        "bool": torch.tensor([True, False, True]),
        "scalar": torch.tensor(2.5),
        "empty": torch.empty(0, 7),
        "base": base,
        "tied": base,
        "rows": base[1:3],
        "transposed": base.t(),
        "every_other": base[:, ::2],
        "one_row": base[2:3].expand(1, 6),
    }
    torch.save(tensors, OUT / "torch_bare.pt")
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, OUT / "torch_bare.safetensors")
    torch.save({"a": torch.ones(2)}, OUT / "torch_legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({"a": torch.ones(2), "b": Calls()}, OUT / "torch_calls.pt")
    torch.save({"a": torch.ones(2), "step": numpy.float64(3)}, OUT / "torch_numpy.pt")


if __name__ == "__main__":
    main()
