"""Stores what transformers 5.17.0 (torch 2.11.0, fp32, CPU) generates, greedily, with the models of make_qwen_vl.py after text and
images, each prompt run alone.

    python make_generation_vl.py        writes data/generation_vl.MODEL.safetensors

For prompt K (text alone, one image, two images of different sizes, an image at the end, two images one behind the other):
    K.input_ids [n], K.position_ids [3, n] int32; where there are images K.grids [G, 3] int32, K.pixel_values [P, C * tp * ps * ps] fp32
    K.ids [24] int32   the new tokens
"""
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForImageTextToText

from make_qwen_vl import IMAGE, OUT, VIDEO, grids, image, layout, media, positions, text

HERE = Path(__file__).parent / "data"
NEW = 24
PROMPTS = [
    [text(9)],
    [text(3), image(6, 10), text(6)],
    [text(2), image(4, 4), text(3), image(2, 14), text(5)],
    [text(4), image(10, 6)],
    [image(2, 2), image(8, 4), text(1)],
]


def main():
    for name in ("untied_hub", "qwen3"):
        model = AutoModelForImageTextToText.from_pretrained(OUT / name, attn_implementation="eager", dtype=torch.float32).eval()
        model.generation_config.eos_token_id = None
        generator = torch.Generator().manual_seed(11)
        vision = model.config.vision_config
        width = 3 * vision.temporal_patch_size * vision.patch_size**2
        stored = {}
        for k, pieces in enumerate(PROMPTS):
            ids, types = layout(pieces, generator, name == "qwen3")
            stored[f"{k}.input_ids"] = ids.int()
            stored[f"{k}.position_ids"] = positions(model, ids, types, pieces).int().contiguous()
            inputs = dict(input_ids=ids[None], attention_mask=torch.ones(1, len(ids), dtype=torch.long), mm_token_type_ids=types[None])
            images = media(pieces, "image")
            if images:
                inputs |= dict(pixel_values=torch.randn(sum(p[1] * p[2] * p[3] for p in images), width, generator=generator),
                               image_grid_thw=grids(images))
                stored[f"{k}.pixel_values"] = inputs["pixel_values"]
                stored[f"{k}.grids"] = inputs["image_grid_thw"].int()
            out = model.generate(**inputs, do_sample=False, max_new_tokens=NEW, pad_token_id=0)
            stored[f"{k}.ids"] = out[0, len(ids):].int().contiguous()
            # the same without a cache, from the positions given: what generate() worked out is what is stored
            again = ids.tolist()
            for step in range(NEW):
                if {IMAGE, VIDEO} & set(again[len(ids):]):  # a pad that was generated: without a cache it would ask for pixels
                    again += stored[f"{k}.ids"][step:].tolist()
                    break
                where = stored[f"{k}.position_ids"].long()
                behind = where.max() + 1 + torch.arange(step)
                where = torch.cat([where, behind.expand(3, -1)], dim=1)
                more = {key: value for key, value in inputs.items() if key.startswith(("pixel", "image"))}
                logits = model(input_ids=torch.tensor([again]), position_ids=where[:, None], use_cache=False, **more).logits
                again.append(int(logits[0, -1].argmax()))
            assert again[len(ids):] == stored[f"{k}.ids"].tolist(), (name, k)
            print(name, k, stored[f"{k}.ids"].tolist())
        path = HERE / f"generation_vl.{name}.safetensors"
        save_file(stored, path)
        path.chmod(0o644)
        assert path.stat().st_size < 300_000


if __name__ == "__main__":
    main()
