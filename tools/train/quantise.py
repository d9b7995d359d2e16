#!/usr/bin/env python3
"""Makes the base model what is shipped: matrices in Q8_0, tokenizer inside. Both stages are trained on this file.

    python3 quantise.py --data DIR --model RUN/model.safetensors --out RUN/model.gguf
"""
import argparse
import os

import base
import gguf_file


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--data', required=True, help='folder that corpus.py wrote')
    ap.add_argument('--model', required=True)
    ap.add_argument('--out', required=True)
    a = ap.parse_args()
    config, tensors = base.read(a.model)
    tokenizer = gguf_file.read_tokenizer(os.path.join(a.data, 'tokenizer.json'))
    gguf_file.save(a.out, config, tensors, tokenizer, 'Pebble')


if __name__ == '__main__':
    main()
