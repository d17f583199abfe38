#!/usr/bin/env python3
"""Writes tables.cpp: general categories, white space and canonical normal forms.

    pip install unicodedata2==16.0.0 tokenizers==0.23.3
    python make_tables.py > tables.cpp

Categories are those of Unicode 16, which HF tokenizers matches with (Oniguruma 6.9.10). Its normaliser carries Unicode 9 data:
characters that came later pass through it untouched. Ids must equal its ids, so the normal forms here leave out exactly the
code points whose decomposition or combining class it does not know; Unicode's stability policy fixes the rest for ever.
"""
import sys

import unicodedata2 as ucd
from tokenizers import normalizers

BLOCK = 128
LAST = 0x110000
# The order is that of enum Category in categories.h.
CATEGORIES = "Cn Cc Cf Co Cs Ll Lm Lo Lt Lu Mc Me Mn Nd Nl No Pc Pd Pe Pf Pi Po Ps Sc Sk Sm So Zl Zp Zs".split()
WHITE_SPACE = {*range(0x9, 0xE), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
HANGUL = range(0xAC00, 0xD7A4)


def scalar_values():
    return (c for c in range(LAST) if not 0xD800 <= c < 0xE000)


def known_to_normaliser(c):
    """Whether HF's normaliser gives what Unicode 16 gives, alone and among marks of low and high combining classes."""
    nfc, nfd = normalizers.NFC(), normalizers.NFD()
    char = chr(c)
    probes = (char, "a\u0345" + char, "a" + char + "\u0334", "a\u0301" + char + "\u0301", "a\u0323" + char + "\u0323\u0301")
    return all(nfc.normalize_str(p) == ucd.normalize("NFC", p) and nfd.normalize_str(p) == ucd.normalize("NFD", p) for p in probes)


def canonical_data():
    """{c: combining class}, {c: full decomposition}, {(first, second): composed} of what the normaliser knows."""
    classes, decompositions, pairs, unknown = {}, {}, {}, []
    for c in scalar_values():
        char = chr(c)
        combining, mapping = ucd.combining(char), ucd.decomposition(char)
        canonical = mapping and not mapping.startswith("<")
        if not combining and not canonical:
            continue
        if not known_to_normaliser(c):
            unknown.append(c)
            continue
        if combining:
            classes[c] = combining
        if canonical:
            decompositions[c] = [ord(x) for x in ucd.normalize("NFD", char)]
            direct = [int(x, 16) for x in mapping.split()]
            if len(direct) == 2 and ucd.normalize("NFC", char) == char:
                pairs[tuple(direct)] = c
    return classes, decompositions, pairs, unknown


def two_stage(values):
    """(index of the block of each BLOCK code points, the distinct blocks one after another)."""
    seen, index, blocks = {}, [], []
    for start in range(0, LAST, BLOCK):
        block = tuple(values[start : start + BLOCK])
        if block not in seen:
            seen[block] = len(seen)
            blocks.extend(block)
        index.append(seen[block])
    return index, blocks


def emit(name, kind, values, form=str, span=False):
    """An array; `span` gives it a name with a length instead."""
    print(f"const {kind} {name}{'Data' if span else ''}[] = {{")
    line = ""
    for value in values:
        text = form(value) + ","
        if len(line) + len(text) > 99:
            print(line)
            line = ""
        line += text
    print(line + "};\n")
    if span:
        print(f"const std::span<const {kind}> {name}({name}Data);\n")


def main():
    assert ucd.unidata_version == "16.0.0", ucd.unidata_version
    classes, decompositions, pairs, unknown = canonical_data()
    # What NFC may change: a character that decomposes to something else, or joins what stands before it, or a mark it moves.
    second = {b for _, b in pairs} | set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    changes = {c for c in decompositions if c not in HANGUL and ucd.normalize("NFC", chr(c)) != chr(c)}
    properties = []
    for c in range(LAST):
        value = CATEGORIES.index(ucd.category(chr(c)))
        value |= 32 * (c in WHITE_SPACE)
        value |= 64 * (c in changes or c in second) | 128 * (c in classes)
        properties.append(value)
    index, blocks = two_stage(properties)
    assert max(index) < 65536
    mapped = sorted(decompositions)
    targets, offsets = [], []
    for c in mapped:
        offsets.append(len(targets))
        targets += decompositions[c]
    offsets.append(len(targets))

    print("// Written by make_tables.py from Unicode 16.0.0; do not edit.")
    print(f"// {len(unknown)} code points newer than the normaliser's data keep no canonical form (see make_tables.py).")
    print('// clang-format off\n#include "text/unicode/tables.h"\n\nnamespace lmms::text::unicode {\n')
    emit("kPropertyIndex", "uint16_t", index)
    emit("kPropertyBlocks", "uint8_t", blocks)
    emit("kCombiningClasses", "CombiningClass", sorted(classes.items()), lambda x: "{0x%x,%d}" % x, span=True)
    emit("kDecomposed", "char32_t", mapped, lambda c: "0x%x" % c, span=True)
    emit("kDecompositionOffsets", "uint16_t", offsets, span=True)
    emit("kDecompositions", "char32_t", targets, lambda c: "0x%x" % c, span=True)
    emit("kCompositions", "Composition", sorted(pairs.items()), lambda x: "{0x%x,0x%x,0x%x}" % (*x[0], x[1]), span=True)
    print("}  // namespace lmms::text::unicode")
    sizes = dict(index=len(index), blocks=len(blocks), classes=len(classes), decomposed=len(mapped), targets=len(targets), pairs=len(pairs))
    print(sizes, "unknown to the normaliser:", len(unknown), file=sys.stderr)


if __name__ == "__main__":
    main()
