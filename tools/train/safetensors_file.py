"""safetensors files: u64 header length, JSON header, raw little-endian data."""
import json

import numpy as np
import torch

TYPES = {'F32': '<f4', 'F16': '<f2', 'I32': '<i4', 'U8': '|u1'}


def save(path, tensors, dtype='F32', metadata=None):
    header = {'__metadata__': {'format': 'pt', **(metadata or {})}}
    blobs, offset = [], 0
    for name in sorted(tensors):
        t = tensors[name].detach().cpu().float().numpy()
        blob = np.ascontiguousarray(t).astype(TYPES[dtype]).tobytes()
        header[name] = {'dtype': dtype, 'shape': list(t.shape), 'data_offsets': [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as f:
        f.write(len(text).to_bytes(8, 'little') + text + b''.join(blobs))


def load(path):
    """Tensors as float32."""
    with open(path, 'rb') as f:
        raw = f.read()
    start = 8 + int.from_bytes(raw[:8], 'little')
    header = json.loads(raw[8:start])
    header.pop('__metadata__', None)
    out = {}
    for name, entry in header.items():
        first, last = entry['data_offsets']
        a = np.frombuffer(raw[start + first:start + last], TYPES[entry['dtype']]).reshape(entry['shape'])
        out[name] = torch.from_numpy(a.astype(np.float32))
    return out
