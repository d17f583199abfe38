"""Stores what transformers 5.17.0 (torch 2.11.0, fp32, CPU, eager attention) makes of tiny Llama models.

    python make_llama.py [CASE ...]        writes data/llama/CASE/, in the form of make_qwen_text.py
"""
import sys

import make_qwen_text as text

COMMON = dict(
    vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
    max_position_embeddings=256, initializer_range=0.2, rms_norm_eps=1e-5, tie_word_embeddings=False)
# over 8 numbers a head: one wave is kept, two lie between, one is stretched
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64,
              rope_theta=100.0)


def llama(**changes):
    return dict(model_type="llama", architectures=["LlamaForCausalLM"], **{**COMMON, **changes})


text.OUT = text.OUT.parent / "llama"
text.CASES = {
    "untied": dict(config=llama(), rope=dict(rope_theta=5e5), style="hub"),
    "tied": dict(config=llama(tie_word_embeddings=True, num_hidden_layers=3), rope=LLAMA3, style="hub", lengths=[26, 3]),
    "biases": dict(  # and heads wider than hidden_size / heads
        config=llama(attention_bias=True, mlp_bias=True, head_dim=10), rope=LLAMA3, style="v5", lengths=[23, 1, 9]),
    "odd": dict(  # odd sizes, one layer, class defaults left out of the file
        config=llama(vocab_size=41, hidden_size=18, intermediate_size=23, num_hidden_layers=1, num_attention_heads=3,
                     num_key_value_heads=3, rms_norm_eps=1e-6),
        rope=dict(rope_theta=1e4), style="none", sparse=True, null_kv_heads=True, lengths=[5, 1, 11]),
}

if __name__ == "__main__":
    for name in sys.argv[1:] or text.CASES:
        text.make(name, text.CASES[name])
