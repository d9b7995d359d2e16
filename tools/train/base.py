"""The frozen base model that both stages start from."""
import json

import llama
import run
import safetensors_file


def add_arguments(ap):
    ap.add_argument('--data', required=True, help='folder that corpus.py wrote')
    ap.add_argument('--model', required=True, help='model.safetensors; config.json stands beside it')


def load(a):
    with open(a.model.rsplit('model.safetensors', 1)[0] + 'config.json') as f:
        config = llama.Config.of(json.load(f))
    model = llama.Llama(config, compute=run.compute_type(a))
    model.load_state_dict(safetensors_file.load(a.model))
    return model.requires_grad_(False).to(a.device)
