#!/usr/bin/env python3
"""Small image files of every kind that we read, and what Pillow and Hugging Face's image processors make of them; read by
src/media/*_test.cpp.

    pip install torch==2.11.0 torchvision==0.26.0 transformers==5.17.0 pillow==13.0.0
    python tests/parity/make_images.py                  # writes tests/parity/data/images/
    python tests/parity/make_images.py --check FOLDER   # writes many more, for scripts/check_images.sh

cases.json: `decode` holds files with the size and the CRC-32 of their RGB pixels, after exif_transpose and before it (null where
Pillow refuses the file); `resize` what torchvision makes of a file at another size; `patches`, `tiles`, `square` and `planes`
what the processors of Qwen2-VL, Qwen3-VL, LLaVA-OneVision and SigLIP make of a file: shapes, tokens, the CRC-32 of all float32
values and the first of them. `smart_resize` holds [height, width, factor, min, max, result].

odd_sizes.json: 220 images of odd sizes that both sides draw by a formula (`drawn`), so that no file of theirs is stored: what the
processors of Qwen2-VL, Qwen3-VL and LLaVA-OneVision make of each, as above.
"""
import io
import json
import os
import random
import struct
import sys
import types
import warnings
import zlib

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision.transforms.v2 import functional as tvF
from transformers.models.llava_onevision.image_processing_llava_onevision import LlavaOnevisionImageProcessor
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor, smart_resize
from transformers.models.siglip.image_processing_siglip import SiglipImageProcessor

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "images")
warnings.simplefilter("ignore")


def picture(width, height, seed, channels=3):
    """Smooth areas, edges and some noise, so that every part of a codec has work."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for _ in range(channels):
        fx, fy, phase = rng.uniform(0.01, 0.3, 2).tolist() + [rng.uniform(0, 6)]
        plane = 127 + 90 * np.sin(fx * x + phase) * np.cos(fy * y) + rng.normal(0, 12, (height, width))
        left, top = rng.integers(0, width), rng.integers(0, height)
        plane[top : top + height // 3 + 1, left : left + width // 3 + 1] = rng.integers(0, 256)
        planes.append(plane)
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def rgb(width, height, seed):
    return Image.fromarray(picture(width, height, seed))


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def with_orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def xmp(value):
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{value}"/></x:xmpmeta>'.encode()


def png(width, height, depth, color, rows, chunks=(), interlace=0):
    """A PNG by hand, for what Pillow does not write. `rows`: bytes of each row, without filter."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    body = b"".join(b"\0" + row for row in rows)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(chunk(n, d) for n, d in chunks)
            + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b""))


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def interlaced(array, depth, color, chunks=()):
    rows = []
    for x, y, dx, dy in ADAM7:
        part = array[y::dy, x::dx]
        if part.size:
            rows += [np.ascontiguousarray(row).tobytes() for row in part]
    return png(array.shape[1], array.shape[0], depth, color, rows, chunks, interlace=1)


def packed(values, bits):
    """Rows of small numbers, packed from the upper bit down."""
    rows = []
    for row in values:
        bits_of_row = "".join(format(v, f"0{bits}b") for v in row)
        bits_of_row += "0" * (-len(bits_of_row) % 8)
        rows.append(bytes(int(bits_of_row[i : i + 8], 2) for i in range(0, len(bits_of_row), 8)))
    return rows


def bmp(width, height, bits, rows, palette=b"", compression=0, masks=b"", header_size=40, top_down=False, colors=0):
    """A BMP by hand; `rows` as stored, padded here (runs: one byte string)."""
    data = rows if isinstance(rows, bytes) else b"".join(row + b"\0" * (-len(row) % 4) for row in rows)
    if header_size == 12:
        head = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        head = struct.pack("<IiiHHIIiiII", header_size, width, -height if top_down else height, 1, bits, compression,
                           len(data), 2835, 2835, colors, 0)
        head += masks if header_size > 40 else b""
        head = head.ljust(header_size, b"\0")
        head += masks if header_size == 40 else b""
    offset = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + head + palette + data


def gif_canvas(seed):
    """A GIF whose frame is smaller than its screen, with a transparent colour."""
    data = bytearray(saved(rgb(20, 14, seed).quantize(16), "GIF", transparency=3))
    struct.pack_into("<HH", data, 6, 31, 23)
    at = data.index(b"\x2c" + struct.pack("<HHHH", 0, 0, 20, 14))
    struct.pack_into("<HH", data, at + 1, 5, 4)
    return bytes(data)


def stored_files():
    files = {}
    # JPEG: subsamplings, sizes around the block, progressive, gray, CMYK, orientations
    for n, (w, h, sub, q) in enumerate([(1, 1, 2, 90), (17, 9, 2, 60), (33, 47, 2, 85), (40, 31, 1, 75), (23, 37, 0, 95),
                                        (65, 16, 2, 30), (16, 50, "4:1:1", 80)]):
        files[f"jpeg_{w}x{h}_{n}.jpg"] = saved(rgb(w, h, n), "JPEG", quality=q, subsampling=sub)
    files["jpeg_progressive.jpg"] = saved(rgb(45, 38, 20), "JPEG", quality=80, progressive=True)
    files["jpeg_gray.jpg"] = saved(rgb(29, 33, 21).convert("L"), "JPEG")
    files["jpeg_cmyk.jpg"] = saved(Image.fromarray(picture(31, 22, 22, 4), "CMYK"), "JPEG", quality=90)
    files["jpeg_rgb_stored.jpg"] = saved(rgb(27, 19, 23), "JPEG", quality=90, keep_rgb=True)
    files["jpeg_restart.jpg"] = saved(rgb(64, 40, 24), "JPEG", quality=70, restart_marker_blocks=3)
    for value in range(1, 9):
        files[f"jpeg_turned_{value}.jpg"] = saved(rgb(19, 12, 30), "JPEG", exif=with_orientation(value))
    files["jpeg_turned_xmp.jpg"] = saved(rgb(19, 12, 31), "JPEG", xmp=xmp(6))
    # PNG: every colour type and depth, interlaced too
    gray = picture(21, 13, 40)[..., 0]
    for bits in (1, 2, 4, 8):
        small = gray >> (8 - bits)
        files[f"png_gray{bits}.png"] = png(21, 13, bits, 0, packed(small, bits))
        lut = picture(1 << bits, 1, 41)[0].tobytes()
        files[f"png_palette{bits}.png"] = png(21, 13, bits, 3, packed(small, bits), [(b"PLTE", lut), (b"tRNS", b"\x10\0\x80"[: 1 << bits])])
    gray16 = (picture(21, 13, 42)[..., 0].astype(np.uint16) << 2)
    files["png_gray16.png"] = png(21, 13, 16, 0, [r.astype(">u2").tobytes() for r in gray16])
    files["png_gray_key.png"] = png(21, 13, 8, 0, [r.tobytes() for r in gray], [(b"tRNS", b"\0\x7f")])
    wide = np.random.default_rng(43).integers(0, 65536, (13, 21, 4)).astype(">u2")
    files["png_rgb16.png"] = png(21, 13, 16, 2, [r[:, :3].tobytes() for r in wide])
    files["png_rgba16.png"] = png(21, 13, 16, 6, [r.tobytes() for r in wide])
    files["png_la16.png"] = png(21, 13, 16, 4, [r[:, :2].tobytes() for r in wide])
    files["png_rgb.png"] = saved(rgb(37, 29, 44), "PNG")
    files["png_rgba.png"] = saved(Image.fromarray(picture(37, 29, 45, 4)), "PNG")
    files["png_la.png"] = saved(Image.fromarray(picture(17, 29, 46, 4)).convert("LA"), "PNG")
    files["png_key.png"] = saved(rgb(15, 15, 47), "PNG", transparency=(1, 2, 3))
    files["png_short_palette.png"] = png(21, 13, 8, 3, [r.tobytes() for r in gray], [(b"PLTE", picture(30, 1, 48)[0].tobytes())])
    files["png_interlaced_rgb.png"] = interlaced(picture(23, 11, 49), 8, 2)
    files["png_interlaced_gray16.png"] = interlaced(gray16.astype(">u2"), 16, 0)
    files["png_interlaced_palette.png"] = interlaced(gray >> 3, 8, 3, [(b"PLTE", picture(32, 1, 50)[0].tobytes())])
    files["png_turned.png"] = saved(rgb(19, 12, 51), "PNG", exif=with_orientation(8))
    profile = b"\nexif\n      32\n" + with_orientation(6).tobytes().hex().encode() + b"\n"
    row_bytes = [r.tobytes() for r in picture(19, 12, 52)]
    files["png_turned_profile.png"] = png(19, 12, 8, 2, row_bytes, [(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile))])
    files["png_turned_xmp.png"] = png(19, 12, 8, 2, row_bytes, [(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(3))])
    # WebP
    files["webp_lossy.webp"] = saved(rgb(41, 35, 60), "WEBP", quality=70)
    files["webp_lossy_alpha.webp"] = saved(Image.fromarray(picture(33, 27, 61, 4)), "WEBP", quality=80)
    files["webp_lossless.webp"] = saved(rgb(29, 31, 62), "WEBP", lossless=True)
    files["webp_lossless_alpha.webp"] = saved(Image.fromarray(picture(30, 17, 63, 4)), "WEBP", lossless=True, exact=True)
    files["webp_animated.webp"] = saved(rgb(24, 18, 64), "WEBP", save_all=True, append_images=[rgb(24, 18, 65)], duration=80)
    files["webp_turned.webp"] = saved(rgb(19, 12, 66), "WEBP", exif=with_orientation(5), lossless=True)
    # GIF
    files["gif_plain.gif"] = saved(rgb(33, 21, 70), "GIF")
    files["gif_gray.gif"] = saved(rgb(33, 21, 71).convert("L"), "GIF")
    files["gif_2_colors.gif"] = saved(rgb(19, 21, 72).convert("1"), "GIF")
    files["gif_not_interlaced.gif"] = saved(rgb(25, 18, 73).quantize(40), "GIF", interlace=0)
    files["gif_animated.gif"] = saved(rgb(24, 18, 74), "GIF", save_all=True, append_images=[rgb(24, 18, 75)], duration=80, transparency=2)
    files["gif_canvas.gif"] = gif_canvas(76)
    files["gif_noise.gif"] = saved(Image.fromarray(np.random.default_rng(77).integers(0, 256, (90, 90)).astype(np.uint8)), "GIF")
    # BMP
    array = picture(21, 13, 80)
    colors = lambda n: b"".join(bytes([*c, 0]) for c in picture(n, 1, 81)[0])
    shades = lambda n: b"".join(bytes([i * 255 // (n - 1)] * 3 + [0]) for i in range(n))
    for bits in (1, 4, 8):
        files[f"bmp_{bits}.bmp"] = bmp(21, 13, bits, packed(array[..., 0] >> (8 - bits), bits), colors(1 << bits))
        files[f"bmp_{bits}_shades.bmp"] = bmp(21, 13, bits, packed(array[..., 0] >> (8 - bits), bits), shades(1 << bits))
    files["bmp_8_few.bmp"] = bmp(21, 13, 8, packed(array[..., 0] >> 4, 8), colors(20), colors=20)
    files["bmp_os2.bmp"] = bmp(21, 13, 4, packed(array[..., 0] >> 4, 4), picture(16, 1, 82)[0].tobytes(), header_size=12)
    files["bmp_24.bmp"] = saved(Image.fromarray(array), "BMP")
    files["bmp_24_top_down.bmp"] = bmp(21, 13, 24, [r.tobytes() for r in array], top_down=True)
    words = np.random.default_rng(83).integers(0, 65536, (13, 21)).astype("<u2")
    files["bmp_16_555.bmp"] = bmp(21, 13, 16, [r.tobytes() for r in words])
    files["bmp_16_565.bmp"] = bmp(21, 13, 16, [r.tobytes() for r in words], compression=3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F))
    quads = picture(21, 13, 84, 4)
    files["bmp_32.bmp"] = bmp(21, 13, 32, [r.tobytes() for r in quads])
    for n, masks in enumerate([(0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
                               (0xFF000000, 0xFF0000, 0xFF00, 0xFF), (0xFF000000, 0xFF00, 0xFF, 0xFF0000)]):
        files[f"bmp_32_masks{n}.bmp"] = bmp(21, 13, 32, [r.tobytes() for r in quads], compression=3, header_size=108,
                                            masks=struct.pack("<IIII", *masks))
    runs8 = b"".join(bytes([9, i]) + b"\x00\x05" + bytes(range(i, i + 5)) + b"\0" + bytes([7, i + 40]) + b"\0\0" for i in range(12))
    files["bmp_rle8.bmp"] = bmp(21, 13, 8, runs8 + b"\x05\x07\x00\x02\x03\x00\x0d\x09\0\0\0\1", colors(256), compression=1)
    runs4 = b"".join(bytes([9, 0x1B]) + b"\x00\x05\x12\x34\x50\x00" + bytes([7, 16 * i + 3]) + b"\0\0" for i in range(13))
    files["bmp_rle4.bmp"] = bmp(21, 13, 4, runs4 + b"\0\1", colors(16), compression=2)
    return files


def broken_files(files):
    """What Pillow refuses, and must be a fault."""
    broken = {}
    for name in ("jpeg_33x47_2.jpg", "jpeg_progressive.jpg", "png_rgb.png", "webp_lossy.webp", "gif_plain.gif", "bmp_24.bmp"):
        data = files[name]
        kind = name.split("_")[0]
        broken[f"cut_{kind}_half{os.path.splitext(name)[1]}"] = data[: len(data) // 2]
    broken["empty.jpg"] = b""
    broken["page.jpg"] = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
    broken["bomb.png"] = png(60000, 60000, 8, 2, [b""])
    return broken


def decoded(data):
    """[width, height, crc] with and without exif_transpose; None where Pillow refuses."""
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
        results = []
        for view in (ImageOps.exif_transpose(image), image):
            view = view.convert("RGB")
            results.append([view.width, view.height, zlib.crc32(view.tobytes())])
        return results
    except Exception as error:  # noqa: BLE001: whatever Pillow says is a refusal
        print(f"  refused: {type(error).__name__}: {error}")
        return None


def opened(data):
    return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")


def values(tensor):
    array = np.ascontiguousarray(tensor.numpy(), dtype="<f4")
    return {"shape": list(array.shape), "crc": zlib.crc32(array.tobytes()), "first": [float(v) for v in array.ravel()[:4]]}


def resized(data, width, height):
    """CRC-32 of the pixels that torchvision makes, by filter."""
    image = opened(data)
    tensor = tvF.pil_to_tensor(image)
    results = {}
    for name, mode in (("bicubic", tvF.InterpolationMode.BICUBIC), ("bilinear", tvF.InterpolationMode.BILINEAR)):
        out = tvF.resize(tensor, [height, width], interpolation=mode, antialias=True)
        results[name] = zlib.crc32(np.ascontiguousarray(out.permute(1, 2, 0).numpy()).tobytes())
    return results


def lanczos(data, width, height):
    """One axis at a time: with both, Pillow chooses the order that is less work, torch does not."""
    return np.asarray(opened(data).resize((width, height), Image.Resampling.LANCZOS)).ravel().tolist()


QWEN = {  # options of ours -> of the processor
    "qwen2": ({"patch": 14, "min": 3136, "max": 1003520}, "clip"),
    "qwen2_small": ({"patch": 14, "min": 28 * 28 * 4, "max": 28 * 28 * 20}, "clip"),
    "qwen3": ({"patch": 16, "min": 65536, "max": 16777216}, "half"),
}


def patches(data, options, normalisation):
    more = {} if normalisation == "clip" else {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    processor = Qwen2VLImageProcessor(patch_size=options["patch"], merge_size=2, temporal_patch_size=2,
                                      size={"shortest_edge": options["min"], "longest_edge": options["max"]}, **more)
    out = processor(images=[opened(data)], return_tensors="pt")
    grid = out["image_grid_thw"][0].tolist()
    return {**options, "normalisation": normalisation, "grid": grid, "tokens": grid[1] * grid[2] // 4, **values(out["pixel_values"])}


def llava_tokens(size, pinpoints, tile, side):
    counter = types.SimpleNamespace(image_processor=types.SimpleNamespace(image_grid_pinpoints=pinpoints), num_image_tokens=side * side,
                                    vision_aspect_ratio="anyres_max_9")
    for name in ("_get_unpadded_features",):
        setattr(counter, name, types.MethodType(getattr(LlavaOnevisionProcessor, name), counter))
    return LlavaOnevisionProcessor._get_number_of_features(counter, size[0], size[1], tile, tile)


def tiles(data, tile, most):
    image = opened(data)
    pinpoints = [[tile * r, tile * c] for r in range(1, most + 1) for c in range(1, most + 1)]
    processor = LlavaOnevisionImageProcessor(size={"height": tile, "width": tile}, image_grid_pinpoints=pinpoints)
    out = processor(images=[image], return_tensors="pt")["pixel_values"][0]
    return {"tile": tile, "most": most, "tokens": llava_tokens((image.height, image.width), pinpoints, tile, 27), **values(out)}


def square(data, tile):
    processor = LlavaOnevisionImageProcessor(size={"height": tile, "width": tile})
    out = processor(images=[[opened(data)] * 2], return_tensors="pt")["pixel_values"]
    return {"tile": tile, **values(out[0][0])}


def planes(data, side):
    out = SiglipImageProcessor(size={"height": side, "width": side})(images=[opened(data)], return_tensors="pt")["pixel_values"]
    return {"side": side, **values(out[0])}


def drawn(width, height, kind):
    """Waves that grow faster to the right and downwards, with steps where they wrap: every frequency and much overshoot.
    images_testing.h draws the same."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    return ((x * x * (kind + c) + y * y * (kind + 2 * c + 1) + 3 * x * y) // (width + height) + 37 * c * kind).astype(np.uint8)


def odd_sizes():
    """A line for each image."""
    rng = random.Random(11)
    sizes = [(rng.randint(1, 420), rng.randint(1, 420)) for _ in range(200)]
    sizes += [(rng.randint(600, 1700), rng.randint(500, 1300)) for _ in range(14)]
    sizes += [(1, 1), (1, 180), (190, 1), (28, 28), (32, 64), (384, 384)]
    lines = []
    for n, (width, height) in enumerate(sizes):
        if max(width, height) > 190 * min(width, height):
            width, height = width + 30, height + 30
        kind = n % 7
        data = saved(Image.fromarray(drawn(width, height, kind)), "PNG")
        case = {"width": width, "height": height, "kind": kind}
        case["patches"] = [patches(data, *QWEN[name]) for name in ("qwen2", "qwen3")]
        case["tiles"] = [tiles(data, *(384, 6) if n % 20 == 0 else (28, 4))]
        for made in case["patches"] + case["tiles"]:
            del made["first"]
        lines.append(json.dumps(case, separators=(",", ":")))
    return "[\n" + ",\n".join(lines) + "\n]\n"


def write(folder, name, data):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


def main():
    check = len(sys.argv) == 3 and sys.argv[1] == "--check"
    folder = sys.argv[2] if check else OUT
    os.makedirs(folder, exist_ok=True)
    files = stored_files()
    files.update(broken_files(files))
    if check:
        files.update(many_files())
    sources = [(w, h, n) for n, (w, h) in enumerate([(61, 47), (90, 33), (19, 83), (128, 96), (7, 5), (200, 9)])]
    for w, h, n in sources:
        files[f"source_{w}x{h}.jpg"] = saved(rgb(w, h, 500 + n), "JPEG", quality=85)
    noise = np.random.default_rng(8).integers(0, 256, (40, 52, 3)).astype(np.uint8)
    noise[:10] = np.where(noise[:10] > 127, 255, 0)  # overshoot at both ends
    files["source_noise.png"] = saved(Image.fromarray(noise), "PNG")
    cases = {"decode": {}, "resize": [], "patches": [], "tiles": [], "square": [], "planes": [], "smart_resize": []}
    rng = random.Random(3)
    for name in [n for n in files if n.startswith(("source_", "check_"))]:
        for _ in range(6):
            width, height = rng.randint(1, 150), rng.randint(1, 150)
            if rng.random() < 0.2:
                width = opened(files[name]).width
            cases["resize"].append({"file": name, "width": width, "height": height, **resized(files[name], width, height)})
        for options, normalisation in QWEN.values():
            cases["patches"].append({"file": name, **patches(files[name], options, normalisation)})
        cases["tiles"].append({"file": name, **tiles(files[name], 28, 4)})
        cases["square"].append({"file": name, **square(files[name], 42)})
        cases["planes"].append({"file": name, **planes(files[name], 56)})
        if check:
            cases["tiles"].append({"file": name, **tiles(files[name], 384, 6)})
    cases["lanczos"] = [{"file": name, "width": width, "height": height, "pixels": lanczos(files[name], width, height)}
                        for name, width, height in [("source_7x5.jpg", 7, 31), ("source_7x5.jpg", 18, 5), ("source_noise.png", 9, 40)]]
    for _ in range(2000 if check else 300):
        case = [rng.randint(1, 3000), rng.randint(1, 3000), rng.choice([28, 32]), rng.choice([3136, 65536]), rng.choice([50176, 1003520, 12845056])]
        try:
            case.append(list(smart_resize(*case)))
        except ValueError:
            case.append(None)
        cases["smart_resize"].append(case)
    for name, data in files.items():
        write(folder, name, data)
        cases["decode"][name] = decoded(data)
        if not cases["decode"][name]:
            print(f"{name}: Pillow refuses it")
    with open(os.path.join(folder, "cases.json"), "w") as file:
        json.dump(cases, file, indent=0, separators=(",", ":"))
    if not check:
        write(folder, "odd_sizes.json", odd_sizes().encode())
    print(f"{len(files)} files in {folder}")


def many_files():
    """Larger files of random sizes and settings, and damaged ones."""
    rng = random.Random(7)
    files = {}
    for n in range(150):
        image = rgb(rng.randint(1, 700), rng.randint(1, 500), 1000 + n)
        kind, options = rng.choice([
            ("JPEG", {"quality": rng.randint(20, 98), "subsampling": rng.choice([0, 1, 2, "4:1:1"]), "progressive": rng.random() < 0.3}),
            ("PNG", {}), ("WEBP", {"quality": rng.randint(10, 95)}), ("WEBP", {"lossless": True}), ("GIF", {}), ("BMP", {})])
        if rng.random() < 0.15 and kind in ("JPEG", "PNG"):
            image = image.convert("L")
        if rng.random() < 0.1 and kind == "JPEG":
            image = image.convert("CMYK")
        files[f"many_{n}.{kind.lower()}"] = saved(image, kind, **options)
    for n in range(210):
        large = n % 15 == 0
        size = (rng.randint(700, 1800), rng.randint(700, 1400)) if large else (rng.randint(1, 600), rng.randint(1, 600))
        if max(size) > 100 * min(size):
            size = (size[0] + 50, size[1] + 50)
        files[f"check_{n}.jpg"] = saved(rgb(*size, 3000 + n), "JPEG", quality=rng.randint(50, 95))
    return files


if __name__ == "__main__":
    main()
