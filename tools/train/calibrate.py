"""The threshold at which arg-max decisions skip what was asked for.

Arg-max skips less than training's draws did: most routers are mildly in favour of executing, and mild favour always wins."""
import routing


def delta_for(model, routers, batches, skip):
    """Threshold by bisection on batches of ids."""
    low, high = -20.0, 20.0
    for _ in range(15):
        delta = (low + high) / 2
        low, high = (delta, high) if skipped(model, routers, delta, batches) < skip else (low, delta)
    return (low + high) / 2


def skipped(model, routers, delta, batches):
    """Share of sublayer visits that are skipped."""
    argmax = routing.ArgMax(routers, delta, record=True)
    for ids in batches:
        model.hidden(ids, argmax)
    return 1 - rate([gates for kind in argmax.gates.values() for gates in kind])


def rate(gates):
    return (sum(g.sum() for g in gates) / sum(g.numel() for g in gates)).item()
