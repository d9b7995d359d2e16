#!/usr/bin/env python3
"""The table of a routed model: loss on held-out text against the share skipped, with controls at the same share.

    python3 evaluate.py --data DIR --model public/models/pebble/model.safetensors --routed 25=DIR/skipgpt-25 40=DIR/skipgpt-40 --out report.json

Windows are those of `skipstone eval`: BOS and 511 tokens. `--windows N` takes N of them, evenly spread over the text, and writes their ids
to OUT.ids.json, which `skipstone eval --ids-file` reads.
"""
import argparse
import json
import math
import os

import torch
import torch.nn.functional as F

import base
import data
import lora
import routing
import safetensors_file

BANDS = ((0, 64), (64, 128), (128, 256), (256, 512))


@torch.no_grad()
def measure(model, batches, decide=None):
    """Loss in nats, and its mean by band of positions."""
    losses = torch.cat([position_losses(model, ids, decide) for ids in batches])
    nll = losses.mean().item()
    by_position = {'%d-%d' % (a, b - 1): losses[:, a:b].mean().item() for a, b in BANDS}
    return {'tokens': losses.numel(), 'nll': nll, 'perplexity': math.exp(nll), 'nll_by_position': by_position}


def position_losses(model, ids, decide):
    logits = model(ids, decide)[:, :-1]
    return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction='none').view(ids.shape[0], -1)


def skips(gates, layers):
    """{attention, mlp, total, by_layer} from recorded gates."""
    share = lambda l, kind: 1 - torch.cat(gates[l, kind]).mean().item()
    by_layer = [[round(share(l, kind), 4) for kind in (0, 1)] for l in range(layers)]
    attention, mlp = (sum(row[kind] for row in by_layer) / layers for kind in (0, 1))
    return {'attention': attention, 'mlp': mlp, 'total': (attention + mlp) / 2, 'by_layer': by_layer,
            'by_position': {'%d-%d' % (a, b - 1): [mean_skip(gates, layers, kind, a, b) for kind in (0, 1)] for a, b in BANDS}}


def mean_skip(gates, layers, kind, first, last):
    per_layer = [1 - torch.cat(gates[l, kind])[:, first:last].mean().item() for l in range(layers)]
    return round(sum(per_layer) / layers, 4)


@torch.no_grad()
def similarity(model, batches):
    """(layer, kind) from the most to the least similar: mean cosine of the residual before and after the sublayer."""
    sums = {}

    def observe(layer, kind, before, after):
        sums[layer, kind] = sums.get((layer, kind), 0) + F.cosine_similarity(before, after, dim=-1).mean().item()

    for ids in batches:
        model.hidden(ids, observe=observe)
    return sorted(sums, key=lambda k: -sums[k])


def routed_rows(model, batches, order, name, folder):
    """The rows of one folder of routers; `order` are the sublayers from the most to the least similar."""
    layers = model.config.num_hidden_layers
    routers = routing.Routers.of(safetensors_file.load(os.path.join(folder, 'routers.safetensors'))).requires_grad_(False)
    routers.to(batches[0].device)

    def row(kind, decide):
        result = measure(model, batches, decide)
        if isinstance(decide, routing.ArgMax):
            result['skip'] = skips(decide.gates, layers)
        return {'target': name, 'kind': kind, **result}

    rows = [row('routers', routing.ArgMax(routers, record=True))]
    lora.load(os.path.join(folder, 'lora'), model)
    model.to(batches[0].device).requires_grad_(False)
    rows.append(row('routers + LoRA', routing.ArgMax(routers, record=True)))
    rows.append(row('LoRA, dense', None))
    lora.detach(model)
    skip = rows[1]['skip']
    rate = lambda layer, kind: skip[routing.KINDS[kind]]
    lots = [measure(model, batches, routing.Lot(rate, torch.Generator().manual_seed(seed))) for seed in range(3)]
    mean = sum(r['nll'] for r in lots) / len(lots)
    rows.append({'target': name, 'kind': 'random', 'nll': mean, 'perplexity': math.exp(mean), 'skip': {'total': skip['total']}})
    wanted = skip['total'] * 2 * layers
    # Whole sublayers rarely meet the share exactly: the losses on both sides of it are interpolated.
    low = int(wanted)
    around = [measure(model, batches, routing.Fixed(order[:n])) for n in (low, low + 1)]
    nll = around[0]['nll'] + (wanted - low) * (around[1]['nll'] - around[0]['nll'])
    rows.append({'target': name, 'kind': 'static', 'nll': nll, 'perplexity': math.exp(nll), 'skip': {'total': skip['total']},
                 'sublayers': [2 * l + kind for l, kind in order[:low + 1]]})
    return rows


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    base.add_arguments(ap)
    ap.add_argument('--routed', nargs='*', default=[], metavar='NAME=FOLDER')
    ap.add_argument('--windows', type=int, default=40)
    ap.add_argument('--out', required=True)
    ap.add_argument('--threads', type=int, default=os.cpu_count())
    ap.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    ap.set_defaults(precision='f32')
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.set_flush_denormal(True)
    model = base.load(a)
    context = model.config.max_position_embeddings
    every = data.windows(os.path.join(a.data, 'valid.bin'), context)
    chosen = every[[i * (len(every) - 1) // (a.windows - 1) for i in range(a.windows)]].to(a.device)
    with open(a.out + '.ids.json', 'w') as f:
        f.write(json.dumps(chosen.tolist()))
    batches = chosen.split(8)
    train = data.Tokens(os.path.join(a.data, 'train.bin'), context, 7)
    order = similarity(model, [train.batch(i, 8)[0].to(a.device) for i in range(4)]) if a.routed else []
    rows = [{'target': '0', 'kind': 'dense', **measure(model, batches)}]
    for routed in a.routed:
        rows += routed_rows(model, batches, order, *routed.split('=', 1))
    with open(a.out, 'w') as f:
        f.write(json.dumps({'windows': a.windows, 'rows': rows}, indent=1) + '\n')
    print_table(rows)
    for row in rows:
        if row['kind'] == 'routers + LoRA':
            print_parts(row, rows[0])


def print_table(rows):
    dense = rows[0]['nll']
    print('| target | what | loss, nats | perplexity | against dense | attention skipped | MLP skipped | total |')
    print('| --- | --- | --- | --- | --- | --- | --- | --- |')
    for r in rows:
        skip = r.get('skip', {})
        share = lambda key: '%.1f %%' % (100 * skip[key]) if key in skip else '–'
        print('| %s %% | %s | %.4f | %.2f | %+.2f %% | %s | %s | %s |' % (
            r['target'], r['kind'], r['nll'], r['perplexity'], 100 * (r['nll'] / dense - 1), share('attention'), share('mlp'), share('total')))


def print_parts(row, dense):
    skip, percent = row['skip'], lambda share: '%.0f' % (100 * share)
    print('\nTarget %s %%, skipped by layer, %%:\n' % row['target'])
    print('| layer | %s |' % ' | '.join(str(l) for l in range(len(skip['by_layer']))))
    print('| --- |%s' % (' --- |' * len(skip['by_layer'])))
    for kind, name in enumerate(('attention', 'MLP')):
        print('| %s | %s |' % (name, ' | '.join(percent(layer[kind]) for layer in skip['by_layer'])))
    print('\nTarget %s %%, by position in the context:\n' % row['target'])
    print('| positions | loss, dense | loss, routed | attention skipped, %% | MLP skipped, %% |'.replace('%%', '%'))
    print('| --- | --- | --- | --- | --- |')
    for band, (attention, mlp) in skip['by_position'].items():
        print('| %s | %.4f | %.4f | %s | %s |' % (
            band, dense['nll_by_position'][band], row['nll_by_position'][band], percent(attention), percent(mlp)))


if __name__ == '__main__':
    main()
