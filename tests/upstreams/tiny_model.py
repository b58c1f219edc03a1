"""A real model of half a megabyte: llama architecture, random weights from a fixed seed, byte tokens and some words.

It says nonsense, always the same at temperature 0, at thousands of tokens a second: a real upstream for tests.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

SEED = 20261102
LAYERS = 2
WIDTH = 64
HEADS = 4
INNER = 128
CONTEXT = 8192
WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "you",
    "that",
    "it",
    "he",
    "was",
    "for",
    "on",
    "are",
    "as",
    "with",
    "his",
    "they",
    "at",
    "be",
    "this",
    "have",
    "from",
    "or",
    "one",
    "had",
    "by",
    "word",
    "but",
    "not",
    "what",
    "all",
    "were",
    "we",
    "when",
    "your",
    "can",
    "said",
    "there",
    "use",
    "an",
    "each",
    "which",
    "she",
    "do",
    "how",
    "their",
    "if",
    "will",
    "up",
    "other",
    "about",
    "out",
    "many",
    "then",
    "them",
    "these",
    "so",
    "some",
    "her",
    "would",
    "make",
    "like",
    "him",
    "into",
    "time",
    "has",
    "look",
    "two",
    "more",
    "write",
    "go",
    "see",
    "number",
    "no",
    "way",
    "could",
    "people",
    "my",
    "than",
    "first",
    "water",
    "been",
    "call",
    "who",
    "oil",
    "its",
    "now",
    "find",
    "long",
    "down",
    "day",
    "did",
    "get",
    "come",
    "made",
    "may",
    "part",
    "hello",
]
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")


def write_tiny_model(path: Path) -> Path:
    """Write the model as GGUF and return the path; the same bytes in every run."""
    writer = gguf.GGUFWriter(path, "llama")
    vocabulary = add_vocabulary(writer)
    add_shape(writer, vocabulary)
    add_weights(writer, vocabulary)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_shape(writer: gguf.GGUFWriter, vocabulary: int) -> None:
    """Write the hyperparameters."""
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(vocabulary)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def add_vocabulary(writer: gguf.GGUFWriter) -> int:
    """Write a SentencePiece-style vocabulary with a token for every byte; returns its size."""
    control, byte, normal = gguf.TokenType.CONTROL, gguf.TokenType.BYTE, gguf.TokenType.NORMAL
    pieces = ["\u2581" + word for word in WORDS] + ["\u2581"]
    tokens = [*SPECIAL, *(f"<0x{value:02X}>" for value in range(256)), *pieces]
    kinds = [gguf.TokenType.UNKNOWN, *([control] * 4), *([byte] * 256), *([normal] * len(pieces))]
    scores = [*([0.0] * (len(SPECIAL) + 256)), *(-float(rank) for rank in range(len(pieces)))]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(SPECIAL.index("<|im_end|>"))
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(value=True)
    # A space put in front of the text after <|im_start|> would not be the prompt that grammars expect.
    writer.add_add_space_prefix(value=False)
    writer.add_chat_template(TEMPLATE)
    return len(tokens)


def add_weights(writer: gguf.GGUFWriter, vocabulary: int) -> None:
    """Write the tensors: half precision for matrices, single precision for norms."""
    random = np.random.default_rng(SEED)

    def matrix(name: str, rows: int, columns: int, silent: int = 0) -> None:
        values = random.standard_normal((rows, columns)).astype(np.float32) / np.sqrt(columns)
        values[:silent] = 0.0
        writer.add_tensor(name, values.astype(np.float16))

    def norm(name: str) -> None:
        writer.add_tensor(name, np.ones(WIDTH, dtype=np.float32))

    matrix("token_embd.weight", vocabulary, WIDTH)
    for layer in range(LAYERS):
        norm(f"blk.{layer}.attn_norm.weight")
        norm(f"blk.{layer}.ffn_norm.weight")
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            matrix(f"blk.{layer}.{part}.weight", WIDTH, WIDTH)
        matrix(f"blk.{layer}.ffn_gate.weight", INNER, WIDTH)
        matrix(f"blk.{layer}.ffn_up.weight", INNER, WIDTH)
        matrix(f"blk.{layer}.ffn_down.weight", WIDTH, INNER)
    norm("output_norm.weight")
    # Without weights a byte or a special token is never the likeliest: the greedy answer is words. Grammars still
    # reach bytes.
    matrix("output.weight", vocabulary, WIDTH, silent=len(SPECIAL) + 256)
