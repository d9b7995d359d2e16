"""The frozen base model that both stages start from."""
import json

import gguf_file
import llama
import run
import safetensors_file


def add_arguments(ap):
    ap.add_argument('--data', required=True, help='folder that corpus.py wrote')
    ap.add_argument('--model', required=True, help='a .gguf of quantise.py, or model.safetensors with config.json beside it')


def read(path):
    """(config, tensors)"""
    if path.endswith('.gguf'):
        return gguf_file.load(path, llama.Config.of)
    with open(path.rsplit('model.safetensors', 1)[0] + 'config.json') as f:
        return llama.Config.of(json.load(f)), safetensors_file.load(path)


def load(a):
    config, tensors = read(a.model)
    model = llama.Llama(config, compute=run.compute_type(a))
    model.load_state_dict(tensors)
    return model.requires_grad_(False).to(a.device)
