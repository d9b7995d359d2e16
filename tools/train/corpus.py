#!/usr/bin/env python3
"""Text to tokens: trains the tokenizer on the training text and encodes both texts with it.

    python3 corpus.py --train train.txt.xz --valid valid.txt.xz --out DIR

Writes DIR/tokenizer.json, DIR/tokenizer_config.json, DIR/train.bin, DIR/valid.bin (little-endian uint16 ids).
"""
import argparse
import json
import lzma
import os
import time

import bpe


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--train', required=True)
    ap.add_argument('--valid', required=True)
    ap.add_argument('--out', required=True)
    ap.add_argument('--vocab-size', type=int, default=4096)
    ap.add_argument('--context', type=int, default=512)
    a = ap.parse_args()
    os.makedirs(a.out, exist_ok=True)
    start = time.time()
    train = read(a.train)
    merges = bpe.train(train, a.vocab_size)
    print('%d merges after %.0f s' % (len(merges), time.time() - start), flush=True)
    with open(os.path.join(a.out, 'tokenizer.json'), 'w', encoding='utf-8') as f:
        f.write(bpe.tokenizer_json(merges))
    config = {'tokenizer_class': 'PreTrainedTokenizerFast', 'bos_token': bpe.END_OF_TEXT, 'eos_token': bpe.END_OF_TEXT,
              'clean_up_tokenization_spaces': False, 'model_max_length': a.context}
    with open(os.path.join(a.out, 'tokenizer_config.json'), 'w') as f:
        f.write(json.dumps(config, indent=2) + '\n')
    encoder = bpe.Encoder(merges)
    for name, text in (('train', train), ('valid', read(a.valid))):
        ids = encoder.encode(text)
        ids.astype('<u2').tofile(os.path.join(a.out, name + '.bin'))
        print('%s: %d tokens, %.3f bytes each' % (name, len(ids), len(text.encode()) / len(ids)), flush=True)


def read(path):
    with (lzma.open if path.endswith('.xz') else open)(path, 'rt', encoding='utf-8', newline='') as f:
        return f.read()


if __name__ == '__main__':
    main()
