#!/usr/bin/env python3
"""Puts a trained model together as it is shipped.

    python3 ship.py --data DIR --model RUN/model.gguf --routed 25=LORA-25 40=LORA-40 --out public/models/pebble

LoRA becomes float16; routers stay float32. The manifest.json of each folder lists every file in and below it with its size and SHA-256,
except manifests and the model card (README.md), which is written by hand.
"""
import argparse
import hashlib
import json
import os
import shutil

import base
import safetensors_file

GENERATION = {'bos_token_id': 0, 'eos_token_id': 0, 'do_sample': True, 'temperature': 0.7}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--data', required=True, help='folder that corpus.py wrote')
    ap.add_argument('--model', required=True, help='a .gguf of quantise.py')
    ap.add_argument('--routed', nargs='*', default=[], metavar='NAME=FOLDER')
    ap.add_argument('--out', required=True)
    a = ap.parse_args()
    os.makedirs(a.out, exist_ok=True)
    shutil.copyfile(a.model, os.path.join(a.out, 'model.gguf'))
    with open(os.path.join(a.out, 'config.json'), 'w') as f:
        f.write(json.dumps(base.read(a.model)[0].hugging_face(), indent=2) + '\n')
    copy(a.data, a.out, ['tokenizer.json', 'tokenizer_config.json'])
    with open(os.path.join(a.out, 'generation_config.json'), 'w') as f:
        f.write(json.dumps(GENERATION, indent=2) + '\n')
    for routed in a.routed:
        name, folder = routed.split('=', 1)
        target = os.path.join(a.out, 'skipgpt-' + name)
        copy(folder, target, ['routers.safetensors'])
        copy(os.path.join(folder, 'lora'), os.path.join(target, 'lora'), ['adapter_config.json'])
        adapter = os.path.join('lora', 'adapter_model.safetensors')
        safetensors_file.save(os.path.join(target, adapter), safetensors_file.load(os.path.join(folder, adapter)), 'F16')
    folders = [at for at, _, _ in os.walk(a.out)]
    for folder in folders:
        write_manifest(folder)
    size = sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(a.out) for name in names)
    print('%.2f MiB' % (size / 2 ** 20))


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
            if name in ('manifest.json', 'README.md'):
                continue
            with open(path, 'rb') as f:
                data = f.read()
            files.append({'path': relative, 'bytes': len(data), 'sha256': hashlib.sha256(data).hexdigest()})
    with open(os.path.join(folder, 'manifest.json'), 'w') as f:
        f.write(json.dumps({'files': files, 'complete': True}, indent=2) + '\n')


if __name__ == '__main__':
    main()
