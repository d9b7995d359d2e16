"""Byte-level byte-pair encoding: trains merges on a text, encodes with them, writes them as a Hugging Face tokenizer.json."""
import heapq
import json
from collections import Counter, defaultdict

import numpy as np
import regex

END_OF_TEXT = '<|endoftext|>'

# The split of GPT-2, which tokenizers call ByteLevel(use_regex=true).
WORDS = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


def byte_alphabet():
    """One printable character for each byte: itself where it is printable, else one from U+0100 up, as in GPT-2."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names, spare = {}, 256
    for byte in range(256):
        if byte in printable:
            names[byte] = chr(byte)
        else:
            names[byte] = chr(spare)
            spare += 1
    return names


def train(text, vocab_size):
    """Merges as pairs of ids, in order of rank. Id 0 is END_OF_TEXT, ids 1..256 are the bytes in byte_alphabet's order.

    Most frequent pair first; of equally frequent ones, the one with the smaller ids. No merge crosses a word (WORDS).
    """
    counts = Counter(w for document in text.split(END_OF_TEXT) for w in WORDS.findall(document))
    words = [[b + 1 for b in w.encode()] for w in counts]
    weights = list(counts.values())
    pairs, where = Counter(), defaultdict(set)
    for i, word in enumerate(words):
        for pair in zip(word, word[1:]):
            pairs[pair] += weights[i]
            where[pair].add(i)
    heap = [(-n, pair) for pair, n in pairs.items()]
    heapq.heapify(heap)
    merges = []
    while len(merges) < vocab_size - 257:
        n, pair = heapq.heappop(heap)
        if pairs[pair] != -n:
            if pairs[pair] > 0:
                heapq.heappush(heap, (-pairs[pair], pair))
            continue
        new, changed = 257 + len(merges), set()
        merges.append(pair)
        for i in where.pop(pair):
            old = words[i]
            word = merge(old, pair, new)
            for p in zip(old, old[1:]):
                pairs[p] -= weights[i]
                changed.add(p)
            for p in zip(word, word[1:]):
                pairs[p] += weights[i]
                where[p].add(i)
                changed.add(p)
            words[i] = word
        for p in changed:
            if pairs[p] > 0:
                heapq.heappush(heap, (-pairs[p], p))
    return merges


def merge(word, pair, new):
    """Every occurrence of the pair replaced, from the left."""
    out, i = [], 0
    while i < len(word):
        if i + 1 < len(word) and (word[i], word[i + 1]) == pair:
            out.append(new)
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


class Encoder:
    """Text to ids. Words are encoded once and remembered: a corpus has few different ones."""

    def __init__(self, merges):
        self.rank = {pair: i for i, pair in enumerate(merges)}
        self.known = {}

    def encode(self, text):
        """uint16 ids, END_OF_TEXT as id 0."""
        out = []
        for i, document in enumerate(text.split(END_OF_TEXT)):
            if i > 0:
                out.append(0)
            for w in WORDS.findall(document):
                if w not in self.known:
                    self.known[w] = self.word(w)
                out.extend(self.known[w])
        return np.array(out, np.uint16)

    def word(self, w):
        ids = [b + 1 for b in w.encode()]
        while len(ids) > 1:
            best = min(zip(ids, ids[1:]), key=lambda p: self.rank.get(p, len(self.rank)))
            if best not in self.rank:
                break
            ids = merge(ids, best, 257 + self.rank[best])
        return ids


def tokenizer_json(merges):
    """The same tokenizer in Hugging Face's format; encoding with special tokens puts END_OF_TEXT first, as BOS."""
    pieces = [END_OF_TEXT, *byte_alphabet().values()]
    for a, b in merges:
        pieces.append(pieces[a] + pieces[b])
    special = {'id': 0, 'content': END_OF_TEXT, 'single_word': False, 'lstrip': False, 'rstrip': False,
               'normalized': False, 'special': True}
    bos = {'SpecialToken': {'id': END_OF_TEXT, 'type_id': 0}}
    sequence = lambda name, i: {'Sequence': {'id': name, 'type_id': i}}
    return json.dumps({
        'version': '1.0',
        'truncation': None,
        'padding': None,
        'added_tokens': [special],
        'normalizer': None,
        'pre_tokenizer': {'type': 'ByteLevel', 'add_prefix_space': False, 'trim_offsets': True, 'use_regex': True},
        'post_processor': {
            'type': 'TemplateProcessing',
            'single': [bos, sequence('A', 0)],
            'pair': [bos, sequence('A', 0), sequence('B', 1)],
            'special_tokens': {END_OF_TEXT: {'id': END_OF_TEXT, 'ids': [0], 'tokens': [END_OF_TEXT]}},
        },
        'decoder': {'type': 'ByteLevel', 'add_prefix_space': True, 'trim_offsets': True, 'use_regex': True},
        'model': {
            'type': 'BPE', 'dropout': None, 'unk_token': None, 'continuing_subword_prefix': None,
            'end_of_word_suffix': None, 'fuse_unk': False, 'byte_fallback': False,
            'vocab': {piece: i for i, piece in enumerate(pieces)},
            'merges': ['%s %s' % (pieces[a], pieces[b]) for a, b in merges],
        },
    }, ensure_ascii=False) + '\n'
