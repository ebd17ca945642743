#!/usr/bin/env python3
"""Makes the truth vectors that tests/ref checks the C reference against: an independent Qwen2 in numpy, float64.

    make_vectors.py tiny tests/data/truth_tiny.json
    make_vectors.py model MODEL.gguf tests/data/truth_model.json

`tiny` computes the synthetic models of tests/support/synth.h, whose weights follow from the rule written there.
`model` computes a REARANK prompt on a Qwen2 GGUF file. Run by developers, not by the build; needs numpy and regex.
Nothing here is shared with the C code: own GGUF reading, own dequantization, own tokenizer, own forward pass.
"""
import hashlib
import json
import struct
import sys

import numpy as np

# ---- GGUF and its weight formats ----------------------------------------------------------------------------------


def f16(raw):
    return raw.copy().view(np.float16).astype(np.float64)


def nibbles(qs):
    """[n][16 * k] bytes -> [n][k][2][16]: low nibbles, then high ones."""
    return np.stack([qs & 15, qs >> 4], axis=-2)


def bits5(qh, q):
    """q [n][2][16] gains bit j (j = 0..31) of the words qh [n][4 bytes]."""
    words = qh.copy().view(np.uint32)
    return q.reshape(-1, 32).astype(np.int32) | ((words >> np.arange(32, dtype=np.uint32)) & 1).astype(np.int32) << 4


def q4_0(b):
    return f16(b[:, :2]) * (nibbles(b[:, 2:]).reshape(-1, 32).astype(np.int32) - 8)


def q4_1(b):
    return f16(b[:, :2]) * nibbles(b[:, 4:]).reshape(-1, 32) + f16(b[:, 2:4])


def q5_0(b):
    return f16(b[:, :2]) * (bits5(b[:, 2:6], nibbles(b[:, 6:])) - 16)


def q5_1(b):
    return f16(b[:, :2]) * bits5(b[:, 4:8], nibbles(b[:, 8:])) + f16(b[:, 2:4])


def q8_0(b):
    return f16(b[:, :2]) * b[:, 2:].copy().view(np.int8)


def k_scales(s):
    """12 bytes of 6-bit scales and minima -> [n][8] each."""
    scale, least = np.empty((len(s), 8)), np.empty((len(s), 8))
    for j in range(8):
        if j < 4:
            scale[:, j], least[:, j] = s[:, j] & 63, s[:, j + 4] & 63
        else:
            scale[:, j] = (s[:, j + 4] & 15) | (s[:, j - 4] >> 6) << 4
            least[:, j] = (s[:, j + 4] >> 4) | (s[:, j] >> 6) << 4
    return scale, least


def k_affine(b, q):
    scale, least = k_scales(b[:, 4:16])
    d, dmin = f16(b[:, :2]), f16(b[:, 2:4])
    return ((d * scale)[:, :, None] * q - (dmin * least)[:, :, None]).reshape(-1, 256)


def q4_k(b):
    return k_affine(b, nibbles(b[:, 16:].reshape(-1, 4, 32)).reshape(-1, 8, 32))


def q5_k(b):
    q = nibbles(b[:, 48:].reshape(-1, 4, 32)).reshape(-1, 8, 32).astype(np.int32)
    high = (b[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[None, :, None]) & 1
    return k_affine(b, q | high.astype(np.int32) << 4)


def q6_k(b):
    q = np.empty((len(b), 2, 4, 32), dtype=np.int32)
    for half in range(2):
        low, high = b[:, 64 * half:64 * half + 64], b[:, 128 + 32 * half:160 + 32 * half]
        for part in range(4):
            nibble = low[:, 32 * (part % 2):32 * (part % 2) + 32] >> (4 * (part // 2)) & 15
            q[:, half, part] = (nibble | (high >> (2 * part) & 3) << 4).astype(np.int32) - 32
    scale = b[:, 192:208].copy().view(np.int8).astype(np.float64)
    return ((f16(b[:, 208:210]) * scale)[:, :, None] * q.reshape(-1, 16, 16)).reshape(-1, 256)


def bf16(b):
    return (b.copy().view(np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64)


FORMATS = {  # number: (weights a block, bytes a block, function)
    0: (1, 4, lambda b: b.copy().view(np.float32).astype(np.float64)), 1: (1, 2, f16), 30: (1, 2, bf16),
    2: (32, 18, q4_0), 3: (32, 20, q4_1), 6: (32, 22, q5_0), 7: (32, 24, q5_1), 8: (32, 34, q8_0),
    12: (256, 144, q4_k), 13: (256, 176, q5_k), 14: (256, 210, q6_k),
}


class Gguf:
    SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

    def __init__(self, path):
        self.data = np.memmap(path, dtype=np.uint8, mode="r")
        self.at = 4
        assert bytes(self.data[:4]) == b"GGUF"
        version, n_tensors, n_keys = self.take("IQQ")
        assert version in (2, 3)
        self.keys = {}
        for _ in range(n_keys):
            name = self.string()
            self.keys[name] = self.value(self.take("I")[0])
        infos = {}
        for _ in range(n_tensors):
            name = self.string()
            dims = self.take("Q" * self.take("I")[0])
            infos[name] = (dims, *self.take("IQ"))
        align = self.keys.get("general.alignment", 32)
        start = (self.at + align - 1) // align * align
        self.tensors = {name: (dims, kind, start + offset) for name, (dims, kind, offset) in infos.items()}

    def take(self, form):
        out = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return out

    def string(self):
        n = self.take("Q")[0]
        out = bytes(self.data[self.at:self.at + n])
        self.at += n
        return out.decode("utf-8", "surrogateescape")

    def value(self, kind):
        if kind == 8:
            return self.string()
        if kind == 9:
            item, n = self.take("IQ")
            return [self.value(item) for _ in range(n)]
        return self.take(self.SCALARS[kind])[0]

    def rows(self, name, begin=0, end=None):
        """Rows [begin, end) of a tensor as float64, rounded to float32 once, as the file means them."""
        dims, kind, offset = self.tensors[name]
        cols, n = dims[0], dims[1] if len(dims) > 1 else 1
        end = n if end is None else min(end, n)
        weights, size, unpack = FORMATS[kind]
        row = cols // weights * size
        raw = np.array(self.data[offset + begin * row:offset + end * row]).reshape(-1, size)
        return unpack(raw).reshape(end - begin, cols).astype(np.float32).astype(np.float64)

    def config(self):
        key = lambda name: self.keys["qwen2." + name]
        heads = key("attention.head_count")
        return {"n_layers": key("block_count"), "d_model": key("embedding_length"), "n_heads": heads,
                "n_kv_heads": key("attention.head_count_kv"), "head_size": key("embedding_length") // heads,
                "d_ffn": key("feed_forward_length"), "n_vocab": self.tensors["token_embd.weight"][0][1],
                "rope_theta": key("rope.freq_base"), "rms_epsilon": key("attention.layer_norm_rms_epsilon"),
                "tied": "output.weight" not in self.tensors}


# ---- the synthetic models -----------------------------------------------------------------------------------------


class Synth:
    """The weights of tests/support/synth.h, stored as F32."""

    def __init__(self, config, seed):
        self.c, self.seed = config, seed

    def shape(self, name):
        c = self.c
        q, kv = c["n_heads"] * c["head_size"], c["n_kv_heads"] * c["head_size"]
        last = name.split(".", 2)[2] if name.startswith("blk.") else name
        return {"attn_q.weight": (q, c["d_model"]), "attn_k.weight": (kv, c["d_model"]),
                "attn_v.weight": (kv, c["d_model"]), "attn_q.bias": (1, q), "attn_k.bias": (1, kv),
                "attn_v.bias": (1, kv), "attn_output.weight": (c["d_model"], q),
                "ffn_gate.weight": (c["d_ffn"], c["d_model"]), "ffn_up.weight": (c["d_ffn"], c["d_model"]),
                "ffn_down.weight": (c["d_model"], c["d_ffn"]), "token_embd.weight": (c["n_vocab"], c["d_model"]),
                "output.weight": (c["n_vocab"], c["d_model"])}.get(last, (1, c["d_model"]))

    def rows(self, name, begin=0, end=None):
        n_rows, cols = self.shape(name)
        mask = (1 << 64) - 1
        start = 0xcbf29ce484222325
        for byte in name.encode():
            start = (start ^ byte) * 0x100000001b3 & mask
        start ^= self.seed
        z = np.arange(1, n_rows * cols + 1, dtype=np.uint64) * np.uint64(0x9e3779b97f4a7c15) + np.uint64(start)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xbf58476d1ce4e5b9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94d049bb133111eb)
        z ^= z >> np.uint64(31)
        n = ((z >> np.uint64(32)) * np.uint64(255) >> np.uint64(32)).astype(np.float64) - 127
        if "norm" in name:
            out = 1 + n / 512
        elif name.endswith("bias"):
            out = n / 256
        elif name == "token_embd.weight" and not self.c["tied"]:
            out = n / 128
        else:
            gain = 4 if name in ("token_embd.weight", "output.weight") else 1 if "attn_v" in name else 2
            e = 0
            while 4 ** e * gain * gain < 5419 * cols:
                e += 1
            out = n / 2 ** e
        return out.reshape(n_rows, cols)[begin:end]


# ---- the model ----------------------------------------------------------------------------------------------------


def rmsnorm(x, weight, epsilon):
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + epsilon) * weight


def rope(x, theta):
    """x [n][heads][size]; pairs (i, i + size / 2)."""
    n, _, size = x.shape
    half = size // 2
    angle = np.arange(n)[:, None] * np.float64(theta) ** (-2.0 * np.arange(half) / size)
    cos, sin = np.cos(angle)[:, None, :], np.sin(angle)[:, None, :]
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def attention(q, k, v):
    """q [n][heads][size], k and v [n][kv heads][size] -> [n][heads * size]; causal."""
    n, heads, size = q.shape
    group = heads // k.shape[1]
    out = np.empty_like(q)
    hidden = np.triu(np.ones((n, n), dtype=bool), 1)
    for h in range(heads):
        scores = q[:, h] @ k[:, h // group].T / np.sqrt(size)
        scores[hidden] = -np.inf
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        out[:, h] = scores / scores.sum(axis=1, keepdims=True) @ v[:, h // group]
    return out.reshape(n, heads * size)


def forward(model, c, tokens):
    """The residual streams [layers + 1][n][d_model] and the normalised last one."""
    epsilon = float(np.float32(c["rms_epsilon"]))
    theta = float(np.float32(c["rope_theta"]))
    x = np.concatenate([model.rows("token_embd.weight", t, t + 1) for t in tokens])
    streams = [x]
    for layer in range(c["n_layers"]):
        w = lambda name: model.rows(f"blk.{layer}.{name}")
        h = rmsnorm(x, w("attn_norm.weight"), epsilon)
        part = lambda name, heads: (h @ w(f"attn_{name}.weight").T + w(f"attn_{name}.bias")).reshape(
            len(tokens), heads, c["head_size"])
        q, k, v = part("q", c["n_heads"]), part("k", c["n_kv_heads"]), part("v", c["n_kv_heads"])
        x = x + attention(rope(q, theta), rope(k, theta), v) @ w("attn_output.weight").T
        h = rmsnorm(x, w("ffn_norm.weight"), epsilon)
        gate = h @ w("ffn_gate.weight").T
        x = x + gate / (1 + np.exp(-gate)) * (h @ w("ffn_up.weight").T) @ w("ffn_down.weight").T
        streams.append(x)
        print(f"layer {layer + 1} of {c['n_layers']}", file=sys.stderr)
    return streams, rmsnorm(x, model.rows("output_norm.weight"), epsilon)


def logits_of(model, c, normed):
    name = "token_embd.weight" if c["tied"] else "output.weight"
    step = 8192
    return np.concatenate([normed @ model.rows(name, r, r + step).T for r in range(0, c["n_vocab"], step)], axis=1)


# ---- the prompt ---------------------------------------------------------------------------------------------------

QUERY = "how do beekeepers keep a colony alive through a cold winter"
PASSAGES = [
    "In autumn a beekeeper weighs each hive. A colony of the temperate zone needs eighteen to twenty-five kilograms of "
    "honey to reach the first willow bloom; a light hive is fed thick sugar syrup while the days are still warm enough.",
    "The tram line that opened in 1911 linked the harbour with the upper town. Its cars were heated by a stove that the "
    "conductor fed with briquettes, and in January the windows froze from the inside.",
    "Moist air is more dangerous to wintering bees than frost. Water that condenses under the lid drips on the cluster; a "
    "small upper entrance or a layer of wood shavings lets the vapour out.",
]


def messages():
    n = len(PASSAGES)
    yield "system", ("You are DeepRerank, an intelligent assistant that can rank passages based on their relevancy to the "
                     "search query. You first thinks about the reasoning process in the mind and then provides the user "
                     "with the answer.")
    yield "user", ("I will provide you with passages, each indicated by number identifier []. Rank the passages based on "
                   f"their relevance to the search query.Search Query: {QUERY}. \nRank the {n} passages above based on "
                   "their relevance to the search query.The passages should be listed in descending order using "
                   "identifiers. The most relevant passages should be listed first. The output format should be <answer> "
                   "[] > [] </answer>, e.g., <answer> [1] > [2] </answer>.")
    yield "assistant", "Okay, please provide the passages."
    for i, passage in enumerate(PASSAGES, 1):
        yield "user", f"[{i}] {passage}"
        yield "assistant", f"Received passage [{i}]."
    yield "user", (f'Please rank these passages according to their relevance to the search query: "{QUERY}"\n'
                   "            Follow these steps exactly:\n"
                   "            1. First, within <think> tags, analyze EACH passage individually:\n"
                   "            - Evaluate how well it addresses the query\n"
                   "            - Note specific relevant information or keywords\n\n"
                   "            2. Then, within <answer> tags, provide ONLY the final ranking in descending order of "
                   "relevance using the format: [X] > [Y] > [Z]")


def bpe_encoder(gguf):
    import regex
    pattern = regex.compile(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
                            r"\s*[\r\n]+|\s+(?!\S)|\s+")
    prints = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {b: chr(b) for b in prints}
    for b in range(256):
        letters.setdefault(b, chr(256 + len(letters) - len(prints)))
    ids = {text: i for i, text in enumerate(gguf.keys["tokenizer.ggml.tokens"])}
    ranks = {tuple(m.split(" ")): i for i, m in enumerate(gguf.keys["tokenizer.ggml.merges"])}

    def encode(text):
        out = []
        for word in pattern.findall(text):
            parts = [letters[b] for b in word.encode()]
            while len(parts) > 1:
                rank, at = min((ranks.get(pair, 1 << 60), i) for i, pair in enumerate(zip(parts, parts[1:])))
                if rank == 1 << 60:
                    break
                parts[at:at + 2] = [parts[at] + parts[at + 1]]
            out += [ids[p] for p in parts]
        return out
    return encode, ids


def prompt_tokens(gguf):
    encode, ids = bpe_encoder(gguf)
    start, end = ids["<|im_start|>"], ids["<|im_end|>"]
    out = []
    for role, content in messages():
        out += [start, *encode(f"{role}\n{content}"), end, *encode("\n")]
    return out + [start, *encode("assistant\n")]


# ---- output -------------------------------------------------------------------------------------------------------


def short(values):
    return [float(f"{v:.9g}") for v in np.ravel(values)]


def write(path, document):
    with open(path, "w") as out:
        out.write(json.dumps(document, indent=None, separators=(",", ":")).replace('},{"', '},\n{"') + "\n")


def make_tiny(path):
    base = {"n_layers": 2, "d_model": 64, "n_heads": 4, "n_kv_heads": 2, "head_size": 16, "d_ffn": 128, "n_vocab": 320,
            "rope_theta": 1e6, "rms_epsilon": 1e-6, "tied": False}
    other = {**base, "n_layers": 3, "d_model": 128, "n_heads": 8, "n_kv_heads": 1, "d_ffn": 96, "rope_theta": 1e4,
             "tied": True}
    models = []
    for config, seed in ((base, 1), (other, 42)):
        model = Synth(config, seed)
        tokens = [(37 * i * i + 11 * i + seed) % config["n_vocab"] for i in range(24)]
        streams, normed = forward(model, config, tokens)
        logits = logits_of(model, config, normed)
        models.append({"config": config, "seed": seed, "tokens": tokens,
                       "hidden": [{"layer": layer, "position": p, "values": short(stream[p])}
                                  for layer, stream in enumerate(streams) for p in (0, 23)],
                       "logits": [{"position": p, "values": short(logits[p])} for p in (0, 11, 23)]})
    write(path, {"models": models})


def make_model(gguf_path, path):
    gguf = Gguf(gguf_path)
    config = gguf.config()
    tokens = prompt_tokens(gguf)
    n = len(tokens)
    print(f"{n} tokens", file=sys.stderr)
    streams, normed = forward(gguf, config, tokens)
    positions = [0, 1, 17, 64, 150, 255, 256, n - 60, n - 2, n - 1]
    logits = logits_of(gguf, config, normed[positions])
    fixed = [0, 1, 220, 1000, 50000, 100000, 151644, 151645]
    rows = []
    for p, row in zip(positions, logits):
        top = np.argsort(-row, kind="stable")[:64]
        most = row.max()
        rows.append({"position": p, "logsumexp": short([most + np.log(np.exp(row - most).sum())])[0],
                     "top_ids": top.tolist(), "top": short(row[top]), "fixed_ids": fixed, "fixed": short(row[fixed])})
    with open(gguf_path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    write(path, {"sha256": digest, "file_bytes": int(gguf.data.size), "tokens": tokens,
                 "hidden": [{"layer": layer, "position": p, "norm": short([np.sqrt((stream[p] ** 2).sum())])[0],
                             "first": short(stream[p][:6])}
                            for layer, stream in enumerate(streams) for p in (0, n - 1)],
                 "logits": rows})


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "tiny":
        make_tiny(sys.argv[2])
    elif len(sys.argv) == 4 and sys.argv[1] == "model":
        make_model(sys.argv[2], sys.argv[3])
    else:
        sys.exit(__doc__)
