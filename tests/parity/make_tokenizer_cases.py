#!/usr/bin/env python3
"""Small tokenizers and what HF tokenizers makes of hard texts with them; read by src/text/tokenizer_parity_test.cpp.

    pip install tokenizers==0.23.3 transformers==5.17.0
    python tests/parity/make_tokenizer_cases.py            # writes tests/parity/data/tokenizer/

Each folder holds a tokenizer.json and cases.json: texts in base64 (some are no UTF-8), their ids, and the ids decoded with and
without special tokens. properties.json holds, for every code point, what the reference's regular expressions and normaliser do.
"""
import base64
import json
import os
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "tokenizer")

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + SPACES
CL100K = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + SPACES
QWEN35 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|" + SPACES
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + SPACES
)
DEEPSEEK = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|""" + SPACES

QWEN_SPECIAL = [f"<|{name}|>" for name in (
    "endoftext im_start im_end object_ref_start object_ref_end box_start box_end quad_start quad_end vision_start vision_end "
    "vision_pad image_pad video_pad").split()]
QWEN_PLAIN = ["<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>"]

SENTENCES = """
The quick brown fox doesn't jump over 1,234,567.89 lazy dogs; they've said: "it's HE'LL, we'RE — I'd"!
Le cœur déçu mais l'âme plutôt naïve, Louÿs rêva de crapaüter en canoë au-delà des îles.
Falsches Üben von Xylophonmusik quält jeden größeren Zwerg. STRAẞE, straße, ﬁn, ﬂ, ſ's 'ſ, K, Å
Съешь же ещё этих мягких французских булок, да выпей чаю. Ґрунт, їжак, ўсё.
Ξεσκεπάζω τὴν ψυχοφθόρα βδελυγμία. Ἀρχιμήδης, ᾳ ᾼ ΐ
צַו אוֹתִי שָׁלוֹם, דג סקרן שט בים מאוכזב ולפתע מצא חברה
نَصٌّ حكيمٌ له سِرٌّ قاطِعٌ وَذُو شَأنٍ عَظيمٍ مكتوبٌ على ثوبٍ أخضرَ ١٢٣ ۴۵۶
ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले विष्णुवतार भगवान श्रीराम १२३ क़ ड़
আমি কাঁচ খেতে পারি, তাতে আমার কোনো ক্ষতি হয় না। ড় ঢ় য়
நான் கண்ணாடி சாப்பிடுவேன், அதனால் எனக்கு ஒரு கேடும் வராது. கோ கௌ
เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน ๑๒๓
天地玄黃，宇宙洪荒。日月盈昃，辰宿列張。他们说：“你好，世界！”〇一二三 ㊀ ㍻ 﨑 金
いろはにほへと ちりぬるを わかよたれそ つねならむ ガギグ ｶﾞｷﾞｸﾞ ヴ
키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다. 각 힣 ᄀᆨ
Tiếng Việt: Con sói nâu nhảy qua con chó lười. Tiếng Việt ậ ự ộ
Pchnąć w tę łódź jeża lub ośm skrzyń fig. Příliš žluťoučký kůň úpěl ďábelské ódy.
ქართული ენა, Հայերեն, አማርኛ ፩፪፫, ᚠᛇᚻ, ⵜⴰⵎⴰⵣⵉⵖⵜ, ꦧꦱꦗꦮ, ᠮᠣᠩᠭᠣᠯ, བོད་ཡིག, မြန်မာ, ខ្មែរ, ລາວ, සිංහල, ગુજરાતી, ਪੰਜਾਬੀ, తెలుగు, ಕನ್ನಡ, മലയാളം
👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪🇯🇵 ☃️ ✈︎ 1️⃣ ½ ² Ⅷ ⅓ ① 🄂 🤖🤖🤖 🫠
∀x∈ℝ: ⌈x⌉ = −⌊−x⌋, α ∧ ¬β = ¬(¬α ∨ β), ∮E·da = Q ⟨a|b⟩ x̂ ñ ō
""".strip().split("\n")
CODE = [
    "def f(x):\n    return x**2 + 1  # comment\n\n\nclass A:\n\tdef g(self): pass\n",
    "for (int i = 0; i < 10; ++i) {\r\n  std::cout << i << '\\n';\r\n}\r\n",
    '<html><body class="a">&nbsp;<!-- x --></body></html>\n\n<p>don\'t</p>',
    'SELECT * FROM t WHERE a=\'b\' AND c>=10;--\n{"a": [1, 2.5e-3, null], "b": "\\u00e9"}',
    "https://example.org/a/b?c=d&e=%20f#g user@example.com /usr/lib/x86_64 C:\\Windows\\x.dll",
]
SPACE = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\r", "\t", " \n", "\n ", "  \n  \n  x", " \t\n\r\u00a0\u2003x", "a\u3000b", "a \u2028 b\u0085c",
         "a  b", "a   b ", "  a", "\u200b x\u200d", "x \n", "x\n\n  y", "\ufeffx", " \u1680\u180ea", "a\u000b\u000cb\u001cc\u001db", "  1", " 1  23", "\n'", " '", " 's", "''s", "'\u017f'S'LL'lL'Re"]
MARKS = ["e\u0301", "e\u0323\u0301", "e\u0301\u0323", "\u0301", "a\u0300\u0301\u0302", "\u1100\u1161\u11a8", "\uac00\u11a8", "\u1100\u1161\u11a7", "q\u0307\u0323",
         "\u0344", "\u2126\u212b", "\u0958", "\ufb1d", "\U0001d15e", "\u0f71\u0f72\u0f80", "a\u0345\u0323", "\u09c7\u09be", "\u0b47\u0b3e", "\u11131\u11127", "\U00011131\U00011127",
         "a\u05b0\u094d\u0301", "\u0c46\u0c56", "\U00016d63\U00016d67", "\U00011383", "\U000105d2\u0307", "x\u1ab0\u0301", "\u0061\u0897\u0323", "\u3099", "\u304b\u3099"]
BROKEN = [b"\xff", b"a\xc3", b"\xc3(", b"\xe2\x82", b"\xe2\x82x", b"\xf0\x9f\x98", b"\xf0\x9f\x98\x80\x80", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xe0\x80\x80", b"ab\x80cd",
          b"\xf0\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"<|im_\xffstart|>", b"caf\xc3\xa9\xc3", b"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"]


def texts(added, seed=7):
    """The hard texts as bytes: sentences, code, white space, marks, added tokens in every company, broken UTF-8, random bytes."""
    rng = random.Random(seed)
    out = [s.encode() for s in [""] + SENTENCES + CODE + SPACE + MARKS] + BROKEN
    joined = [t for t in SENTENCES + CODE + SPACE + MARKS]
    for token in added:
        for form in (token, token + token, " " + token + " ", "a" + token + "b", token[:-1], token[1:], token.lower(), token.upper(), "\n" + token + "\n\n", "_" + token, token + "é", "\t" + token + "  x"):
            out.append(form.encode())
    for _ in range(60):
        pieces = [rng.choice(joined) for _ in range(rng.randint(2, 4))]
        if added:
            pieces.insert(rng.randint(0, len(pieces)), rng.choice(added))
        out.append(rng.choice(["", " ", "\n", "  "]).join(pieces).encode())
    scripts = [(0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x590, 0x700), (0x900, 0xE00), (0x1100, 0x1200), (0x1E00, 0x2100), (0x3040, 0x3200), (0x4E00, 0x9FFF),
               (0xAC00, 0xD7A4), (0xFB00, 0xFFFE), (0x10000, 0x11A00), (0x1D100, 0x1D200), (0x1F000, 0x1FB00), (0x2F800, 0x2FA20), (0xE0000, 0xE0200), (0, 0x110000)]
    for _ in range(150):
        low, high = rng.choice(scripts)
        chars = [rng.choice([rng.randrange(low, high)] * 4 + [0x20, 0x0A, 0x27, 0x301, 0x323]) for _ in range(rng.randint(1, 40))]
        out.append("".join(chr(c) for c in chars if not 0xD800 <= c < 0xE000).encode())
    for _ in range(60):
        out.append(bytes(rng.randrange(256) for _ in range(rng.randint(1, 60))))
    out += [b"a" * 300, ("ab" * 200).encode(), b" " * 200, b"\n" * 150, "é".encode() * 150, "字".encode() * 200, base64.b64encode(bytes(rng.randrange(256) for _ in range(600)))]
    return out


def corpus():
    text = "\n".join(SENTENCES + CODE)
    for name in ("argparse", "typing", "json/decoder", "pathlib", "statistics"):
        with open(os.path.join(os.path.dirname(os.__file__), name + ".py"), encoding="utf-8") as file:
            text += file.read()
    return [text[i : i + 2000] for i in range(0, len(text), 2000)]  # line breaks within, so that "\n\n" becomes a token


def trained(pre_tokenizer, size, normalizer=None, alphabet=True, **options):
    tokenizer = Tokenizer(models.BPE(**options))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    initial = pre_tokenizers.ByteLevel.alphabet() if alphabet else []
    special = [options["unk_token"]] if "unk_token" in options else []
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=size, show_progress=False, initial_alphabet=initial, special_tokens=special))
    return tokenizer


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def byte_level(regex=False, prefix=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)


def qwen2_like():
    tokenizer = trained(pre_tokenizers.Sequence([split(QWEN2), byte_level()]), 1500, normalizers.NFC())
    tokenizer.add_tokens([AddedToken(t, special=True, normalized=False) for t in QWEN_SPECIAL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in QWEN_PLAIN])
    return tokenizer


def gpt2_like():
    tokenizer = trained(byte_level(regex=True, prefix=True), 700)
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def llama3_like():
    tokenizer = trained(pre_tokenizers.Sequence([split(CL100K), byte_level()]), 800)
    description = json.loads(tokenizer.to_str())
    description["model"]["ignore_merges"] = True
    # Words that no merge makes: with ignore_merges they are tokens all the same.
    vocab = description["model"]["vocab"]
    for word in ("Ġzwerg", "quux", "ĠXylophonmusik", "ĠÑģÑĬÐµÑĪÑĮ"):
        vocab[word] = len(vocab)
    tokenizer = Tokenizer.from_str(json.dumps(description))
    tokenizer.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>"])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))])])
    return tokenizer


def deepseek_like():
    steps = [split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"), split(DEEPSEEK), byte_level()]
    tokenizer = trained(pre_tokenizers.Sequence(steps), 700)
    tokenizer.add_special_tokens(["<｜begin▁of▁sentence｜>"])
    tokenizer.add_tokens(["<｜User｜>", "<｜Assistant｜>"])
    return tokenizer


def o200k_like():
    return trained(pre_tokenizers.Sequence([split(O200K, "removed", True), byte_level()]), 700)


def qwen35_like():
    return trained(pre_tokenizers.Sequence([split(QWEN35), byte_level()]), 700, normalizers.NFC())


def added_tokens():
    """Every property of added tokens, with a normaliser that changes them."""
    tokenizer = trained(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(regex=True)]), 500, normalizers.Sequence([normalizers.NFC(), normalizers.Replace("''", '"')]))
    tokenizer.add_tokens([AddedToken("<left>", lstrip=True), AddedToken("<right>", rstrip=True, normalized=False), AddedToken("<both>", lstrip=True, rstrip=True), AddedToken("word", single_word=True),
                          AddedToken("<|both sides|>", lstrip=True, rstrip=True, single_word=True, normalized=False), AddedToken("e\u0301clair", normalized=True), AddedToken("e\u0301lan", normalized=False),
                          AddedToken("<a>", special=True), AddedToken("<a><b>", special=True), AddedToken("''quoted''"), AddedToken("é", normalized=False), AddedToken(" x"), AddedToken("the")])
    return tokenizer


def unknown_bytes():
    """A vocabulary that lacks most bytes: they become the unknown token, together or one by one, or vanish."""
    fused = trained(byte_level(regex=True), 400, alphabet=False, unk_token="<unk>", fuse_unk=True)
    return fused


def vanishing_bytes():
    tokenizer = trained(pre_tokenizers.Sequence([split(" ", "merged_with_next"), split("-", "merged_with_previous"), split("=", "contiguous"), split("#", "removed"), byte_level()]), 350, normalizers.Prepend("_"), alphabet=False)
    description = json.loads(tokenizer.to_str())
    keep = {t: i for i, t in enumerate(t for t in description["model"]["vocab"] if "q" not in t and "Ã" not in t)}
    description["model"]["vocab"] = keep
    description["model"]["merges"] = [m for m in description["model"]["merges"] if all(x in keep for x in m) and "".join(m) in keep]
    return Tokenizer.from_str(json.dumps(description))


def write(folder, name, value, **style):
    os.makedirs(os.path.join(OUT, folder), exist_ok=True)
    with open(os.path.join(OUT, folder, name), "w", encoding="utf-8") as file:
        json.dump(value, file, **style)
        file.write("\n")


def cases(tokenizer):
    added = [t.content for t in tokenizer.get_added_tokens_decoder().values()]
    found = []
    for text in texts(added):
        ids = tokenizer.encode(text.decode(errors="replace"), add_special_tokens=False).ids
        decoded = tokenizer.decode(ids, skip_special_tokens=False)
        case = {"text": base64.b64encode(text).decode(), "ids": ids}
        if decoded.encode() != text:
            case["decoded"] = decoded
        if (plain := tokenizer.decode(ids, skip_special_tokens=True)) != decoded:
            case["plain"] = plain
        found.append(case)
    rng = random.Random(3)
    size = tokenizer.get_vocab_size()
    for _ in range(40):  # any ids: the pieces of a character may stand alone
        ids = [rng.randrange(size + 3) for _ in range(rng.randint(1, 12))]
        found.append({"ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False), "plain": tokenizer.decode(ids, skip_special_tokens=True)})
    return found


def properties():
    """For every code point: the classes of the regular expressions as ranges, and what NFC makes of it alone and among marks."""
    points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    result = {"classes": {}, "nfc": []}
    for pattern in (r"\p{L}", r"\p{N}", r"\p{M}", r"\p{P}", r"\p{S}", r"\s", r"\d", r"\p{Lu}", r"\p{Ll}", r"\p{Lt}", r"\p{Lm}", r"\p{Lo}"):
        matcher = split(pattern, "removed")
        ranges = []
        for c in points:
            if matcher.pre_tokenize_str(chr(c)):
                continue
            if ranges and ranges[-1][1] == c - 1:
                ranges[-1][1] = c
            else:
                ranges.append([c, c])
        result["classes"][pattern] = ranges
    nfc = normalizers.NFC()
    for c in points:
        for before, behind in (("", ""), ("x\u0345", ""), ("x", "\u0334"), ("x\u0323", "\u0301")):
            text = before + chr(c) + behind
            normal = nfc.normalize_str(text)
            if normal != text and not 0xAC00 <= c < 0xD7A4:
                result["nfc"].append([text, normal])
    # Pairs: what each full decomposition composes to, and the same with a mark in between.
    nfd = normalizers.NFD()
    for c in points:
        decomposed = nfd.normalize_str(chr(c))
        if decomposed != chr(c) and (not 0xAC00 <= c < 0xD7A4 or c % 97 == 0):
            for text in (decomposed, decomposed[0] + "\u0334" + decomposed[1:], decomposed[0] + "\u0301" + decomposed[1:]):
                result["nfc"].append([text, nfc.normalize_str(text)])
    return result


def main():
    for make in (qwen2_like, gpt2_like, llama3_like, deepseek_like, o200k_like, qwen35_like, added_tokens, unknown_bytes, vanishing_bytes):
        tokenizer = make()
        name = make.__name__
        os.makedirs(os.path.join(OUT, name), exist_ok=True)
        tokenizer.save(os.path.join(OUT, name, "tokenizer.json"), pretty=False)
        write(name, "cases.json", cases(tokenizer), ensure_ascii=False, separators=(",", ":"))
    write(".", "properties.json", properties(), ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    main()
