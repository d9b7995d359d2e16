#!/usr/bin/env python3
"""Puts a trained model together as it is shipped.

    python3 ship.py --data DIR --model RUN/model.safetensors --routed 25=LORA-25 40=LORA-40 --out public/models/pebble

Weights become float16; routers and LoRA stay float32. manifest.json lists every file with its size and SHA-256, except the model card
(README.md), which is written by hand.
"""
import argparse
import hashlib
import json
import os
import shutil

import safetensors_file

GENERATION = {'bos_token_id': 0, 'eos_token_id': 0, 'do_sample': True, 'temperature': 0.7}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--data', required=True, help='folder that corpus.py wrote')
    ap.add_argument('--model', required=True)
    ap.add_argument('--routed', nargs='*', default=[], metavar='NAME=FOLDER')
    ap.add_argument('--out', required=True)
    a = ap.parse_args()
    os.makedirs(a.out, exist_ok=True)
    safetensors_file.save(os.path.join(a.out, 'model.safetensors'), safetensors_file.load(a.model), 'F16')
    copy(os.path.dirname(a.model), a.out, ['config.json'])
    copy(a.data, a.out, ['tokenizer.json', 'tokenizer_config.json'])
    with open(os.path.join(a.out, 'generation_config.json'), 'w') as f:
        f.write(json.dumps(GENERATION, indent=2) + '\n')
    for routed in a.routed:
        name, folder = routed.split('=', 1)
        target = os.path.join(a.out, 'skipgpt-' + name)
        copy(folder, target, ['routers.safetensors'])
        copy(os.path.join(folder, 'lora'), os.path.join(target, 'lora'), ['adapter_config.json', 'adapter_model.safetensors'])
    write_manifest(a.out)


def copy(source, target, names):
    os.makedirs(target, exist_ok=True)
    for name in names:
        shutil.copyfile(os.path.join(source, name), os.path.join(target, name))


def write_manifest(folder):
    files = []
    for at, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            path = os.path.join(at, name)
            relative = os.path.relpath(path, folder).replace(os.sep, '/')
            if relative in ('manifest.json', 'README.md'):
                continue
            with open(path, 'rb') as f:
                data = f.read()
            files.append({'path': relative, 'bytes': len(data), 'sha256': hashlib.sha256(data).hexdigest()})
    with open(os.path.join(folder, 'manifest.json'), 'w') as f:
        f.write(json.dumps({'files': files}, indent=2) + '\n')
    print('%d files, %.2f MiB' % (len(files), sum(f['bytes'] for f in files) / 2 ** 20))


if __name__ == '__main__':
    main()
