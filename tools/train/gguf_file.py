"""GGUF files of a Llama model: matrices in Q8_0, norms in F32, the tokenizer in the metadata.

Format: github.com/ggml-org/ggml, docs/gguf.md. A Q8_0 block is 32 values of a row: scale d (float16), then 32 bytes; a value is d * byte.
"""
import json
import struct

import numpy as np
import torch

MAGIC, VERSION, ALIGNMENT = b'GGUF', 3, 32
U32, F32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9
NUMBERS = {U32: '<I', F32: '<f', BOOL: '<?', 5: '<i'}
TENSOR_F32, TENSOR_Q8_0 = 0, 8
BLOCK = np.dtype([('d', '<f2'), ('q', 'i1', 32)])

OUTER = {'model.embed_tokens.weight': 'token_embd.weight', 'model.norm.weight': 'output_norm.weight'}
LAYER = {'input_layernorm': 'attn_norm', 'self_attn.q_proj': 'attn_q', 'self_attn.k_proj': 'attn_k', 'self_attn.v_proj': 'attn_v',
         'self_attn.o_proj': 'attn_output', 'post_attention_layernorm': 'ffn_norm', 'mlp.gate_proj': 'ffn_gate', 'mlp.up_proj': 'ffn_up',
         'mlp.down_proj': 'ffn_down'}


def names(layers):
    """Hugging Face's tensor names to GGUF's."""
    out = dict(OUTER)
    for l in range(layers):
        for ours, theirs in LAYER.items():
            out['model.layers.%d.%s.weight' % (l, ours)] = 'blk.%d.%s.weight' % (l, theirs)
    return out


def quantise(matrix):
    """float32 [rows, k] -> blocks [rows, k / 32]. Quantising what was quantised before changes nothing."""
    x = matrix.reshape(matrix.shape[0], -1, 32).astype(np.float32)
    d = (np.abs(x).max(2) / np.float32(127)).astype(np.float16)
    scale = d.astype(np.float32)[..., None]
    blocks = np.empty(x.shape[:2], BLOCK)
    blocks['d'] = d
    blocks['q'] = np.clip(np.rint(np.divide(x, scale, out=np.zeros_like(x), where=scale > 0)), -127, 127)
    return blocks


def dequantise(blocks):
    x = blocks['d'].astype(np.float32)[..., None] * blocks['q'].astype(np.float32)
    return x.reshape(blocks.shape[0], -1)


def interleave(w, heads):
    """Rows of Q or K from Hugging Face's order (the halves of a head rotate together) to GGUF's (neighbours do)."""
    return w.reshape(heads, 2, -1, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


def split(w, heads):
    """The other way."""
    return w.reshape(heads, -1, 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


def heads_of(name, config):
    """Heads of a tensor whose rows GGUF keeps in its own order, else None."""
    if name.endswith('q_proj.weight'):
        return config.num_attention_heads
    return config.num_key_value_heads if name.endswith('k_proj.weight') else None


def metadata(config, tokenizer, name):
    """{key: (type, value)}; `tokenizer` is a tokenizer.json of bpe.py, read."""
    vocabulary = tokenizer['model']['vocab']
    tokens = sorted(vocabulary, key=vocabulary.get)
    special = {t['id'] for t in tokenizer['added_tokens']}
    llama = {
        'context_length': (U32, config.max_position_embeddings), 'embedding_length': (U32, config.hidden_size),
        'block_count': (U32, config.num_hidden_layers), 'feed_forward_length': (U32, config.intermediate_size),
        'attention.head_count': (U32, config.num_attention_heads), 'attention.head_count_kv': (U32, config.num_key_value_heads),
        'attention.layer_norm_rms_epsilon': (F32, config.rms_norm_eps), 'rope.freq_base': (F32, config.rope_theta),
        'rope.dimension_count': (U32, config.head_dim), 'vocab_size': (U32, config.vocab_size)}
    return {
        'general.architecture': (STRING, 'llama'), 'general.name': (STRING, name), 'general.alignment': (U32, ALIGNMENT),
        'general.quantization_version': (U32, 2), 'general.file_type': (U32, 7),
        **{'llama.' + key: value for key, value in llama.items()},
        'tokenizer.ggml.model': (STRING, 'gpt2'), 'tokenizer.ggml.pre': (STRING, 'gpt-2'),
        'tokenizer.ggml.tokens': (ARRAY, (STRING, tokens)),
        'tokenizer.ggml.token_type': (ARRAY, (5, [3 if i in special else 1 for i in range(len(tokens))])),
        'tokenizer.ggml.merges': (ARRAY, (STRING, tokenizer['model']['merges'])),
        'tokenizer.ggml.bos_token_id': (U32, 0), 'tokenizer.ggml.eos_token_id': (U32, 0), 'tokenizer.ggml.add_bos_token': (BOOL, True)}


def string(text):
    data = text.encode()
    return struct.pack('<Q', len(data)) + data


def packed(kind, value):
    if kind == STRING:
        return string(value)
    if kind != ARRAY:
        return struct.pack(NUMBERS[kind], value)
    item, values = value
    return struct.pack('<IQ', item, len(values)) + b''.join(packed(item, v) for v in values)


def save(path, config, tensors, tokenizer, name):
    """tensors: Hugging Face's names, float32."""
    infos, blobs, offset = [], [], 0
    for ours, theirs in names(config.num_hidden_layers).items():
        w, heads = tensors[ours].detach().cpu().float().numpy(), heads_of(ours, config)
        if heads:
            w = interleave(w, heads)
        kind, data = (TENSOR_Q8_0, quantise(w)) if w.ndim == 2 else (TENSOR_F32, w.astype('<f4'))
        blob = data.tobytes()
        blob += b'\0' * (-len(blob) % ALIGNMENT)
        infos.append(string(theirs) + struct.pack('<I%dQIQ' % w.ndim, w.ndim, *reversed(w.shape), kind, offset))
        blobs.append(blob)
        offset += len(blob)
    entries = metadata(config, tokenizer, name)
    head = MAGIC + struct.pack('<IQQ', VERSION, len(infos), len(entries))
    head += b''.join(string(key) + struct.pack('<I', kind) + packed(kind, value) for key, (kind, value) in entries.items())
    head += b''.join(infos)
    with open(path, 'wb') as f:
        f.write(head + b'\0' * (-len(head) % ALIGNMENT) + b''.join(blobs))


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, form):
        value, = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def string(self):
        length = self.number('<Q')
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.number(NUMBERS[kind])
        item, count = self.number('<I'), self.number('<Q')
        return [self.value(item) for _ in range(count)]


def load(path, make_config):
    """(config, {Hugging Face's name: float32 tensor}) of a file that `save` wrote. make_config(dict of config.json's names)."""
    with open(path, 'rb') as f:
        r = Reader(f.read())
    assert r.data[:4] == MAGIC, path + ' is no GGUF file'
    r.at = 8
    count, keys = r.number('<Q'), r.number('<Q')
    entries = {}
    for _ in range(keys):
        key = r.string()
        entries[key] = r.value(r.number('<I'))
    infos = {}
    for _ in range(count):
        name, dims = r.string(), r.number('<I')
        shape = [r.number('<Q') for _ in range(dims)][::-1]
        infos[name] = (shape, r.number('<I'), r.number('<Q'))
    start = -(-r.at // ALIGNMENT) * ALIGNMENT
    m = lambda key: entries['llama.' + key]
    config = make_config({
        'hidden_size': m('embedding_length'), 'intermediate_size': m('feed_forward_length'), 'num_hidden_layers': m('block_count'),
        'num_attention_heads': m('attention.head_count'), 'num_key_value_heads': m('attention.head_count_kv'),
        'vocab_size': m('vocab_size'), 'max_position_embeddings': m('context_length'),
        # As they were before they became float32.
        'rms_norm_eps': float('%.6g' % m('attention.layer_norm_rms_epsilon')), 'rope_theta': float('%.6g' % m('rope.freq_base'))})
    tensors = {}
    for ours, theirs in names(config.num_hidden_layers).items():
        shape, kind, offset = infos[theirs]
        if kind == TENSOR_F32:
            w = np.frombuffer(r.data, '<f4', int(np.prod(shape)), start + offset).reshape(shape).copy()
        else:
            rows, k = shape
            w = dequantise(np.frombuffer(r.data, BLOCK, rows * k // 32, start + offset).reshape(rows, k // 32))
        heads = heads_of(ours, config)
        tensors[ours] = torch.from_numpy(np.ascontiguousarray(split(w, heads) if heads else w))
    return config, tensors


def read_tokenizer(path):
    with open(path, encoding='utf-8') as f:
        return json.load(f)
