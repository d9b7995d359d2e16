"""Token files as batches. What a step reads depends on (seed, step) alone, so a resumed run continues exactly."""
import numpy as np
import torch

BOS = 0


class Tokens:
    """A file of uint16 ids, cut into chunks of `context` tokens; every epoch visits each chunk once, in a new order."""

    def __init__(self, path, context, seed):
        self.ids = np.fromfile(path, '<u2')
        self.context, self.seed = context, seed
        self.chunks = len(self.ids) // context - 1
        self.epoch, self.order, self.shift = -1, None, 0

    def chunk(self, k):
        """The k-th chunk since the start of training."""
        epoch, i = divmod(k, self.chunks)
        if epoch != self.epoch:
            rng = np.random.default_rng([self.seed, epoch])
            self.epoch, self.order, self.shift = epoch, rng.permutation(self.chunks), int(rng.integers(self.context))
        at = self.order[i] * self.context + self.shift
        return self.ids[at:at + self.context]

    def batch(self, step, chunks, pieces=1):
        """(inputs, targets), int64 [chunks * pieces, context / pieces]: each row is BOS and then the text, and every token
        of the text is predicted once. pieces > 1 cuts a chunk into shorter rows."""
        text = np.stack([self.chunk(step * chunks + i) for i in range(chunks)]).astype(np.int64)
        targets = torch.from_numpy(text.reshape(chunks * pieces, self.context // pieces))
        return torch.cat((torch.full_like(targets[:, :1], BOS), targets[:, :-1]), 1), targets


def windows(path, context):
    """Evaluation windows as `skipstone eval` cuts them, int64 [rows, context]: BOS and context - 1 tokens, without overlap. A
    shorter one at the end is left out."""
    ids = torch.from_numpy(np.fromfile(path, '<u2').astype(np.int64))
    size = context - 1
    text = ids[:len(ids) // size * size].view(-1, size)
    return torch.cat((torch.full_like(text[:, :1], BOS), text), 1)
