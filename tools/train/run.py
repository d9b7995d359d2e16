"""What every training script shares: arguments, a resumable state file, a log, and the loop itself."""
import json
import os
import shutil
import signal
import time

import torch


def add_arguments(ap):
    ap.add_argument('--out', required=True, help='folder of this run; a run that was interrupted goes on from what is in it')
    ap.add_argument('--steps', type=int, required=True)
    ap.add_argument('--seed', type=int, default=1)
    ap.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    ap.add_argument('--precision', choices=('f32', 'bf16'), default='f32', help='of the matrix products')
    ap.add_argument('--threads', type=int, default=os.cpu_count())
    ap.add_argument('--save-every', type=int, default=200)
    ap.add_argument('--stop-after', type=int, help='end this process after so many steps, as an interruption would')


def compute_type(a):
    return {'f32': torch.float32, 'bf16': torch.bfloat16}[a.precision]


def generator_of(a, step):
    """All randomness of a step comes from this: a resumed run needs no saved generator."""
    return torch.Generator(a.device).manual_seed(a.seed * 1_000_003 + step)


def to_device(t, a):
    """Without waiting for what the device is still doing."""
    return t.pin_memory().to(a.device, non_blocking=True) if a.device.startswith('cuda') else t


class Run:
    """A folder with state.pt (parameters, optimisers, step) and log.jsonl (one line per step)."""

    def __init__(self, a, modules, optimisers):
        self.a, self.modules, self.optimisers, self.step = a, modules, optimisers, 0
        torch.set_num_threads(a.threads)
        torch.set_flush_denormal(True)
        os.makedirs(a.out, exist_ok=True)
        self.state_path = os.path.join(a.out, 'state.pt')
        self.log_path = os.path.join(a.out, 'log.jsonl')
        self.interrupted = False
        signal.signal(signal.SIGTERM, self.interrupt)
        signal.signal(signal.SIGINT, self.interrupt)
        if os.path.exists(self.state_path):
            self.resume()
        elif os.path.exists(self.log_path):
            os.remove(self.log_path)

    def interrupt(self, *_):
        self.interrupted = True

    def resume(self):
        state = torch.load(self.state_path, map_location=self.a.device)
        for module, saved in zip(self.modules, state['modules']):
            module.load_state_dict(saved)
        for optimiser, saved in zip(self.optimisers, state['optimisers']):
            optimiser.load_state_dict(saved)
        self.step = state['step']
        with open(self.log_path) as f:
            lines = [line for line in f if json.loads(line)['step'] < self.step]
        with open(self.log_path, 'w') as f:
            f.writelines(lines)
        print('resumed at step %d' % self.step, flush=True)

    def save(self):
        state = {'modules': [m.state_dict() for m in self.modules], 'step': self.step,
                 'optimisers': [o.state_dict() for o in self.optimisers]}
        torch.save(state, self.state_path + '.new')
        os.replace(self.state_path + '.new', self.state_path)

    def loop(self, train_step, tokens_per_step, keep_at=None):
        """train_step(step) -> dict of numbers for the log. Returns True when all steps are done, False when interrupted.
        The state before step `keep_at` stays as kept.pt: named state.pt, a run with more steps goes on from it.

        Numbers may be tensors. They are read when they are printed: reading one waits for the device."""
        start, first, last_print, records = time.time(), self.step, 0.0, []
        with open(self.log_path, 'a') as log:

            def write():
                for n, record, rate in records:
                    values = {key: float(value) for key, value in record.items()}
                    log.write(json.dumps({'step': n, **values, 'tokens_per_second': round(rate)}) + '\n')
                records.clear()
                log.flush()
                return values

            while self.step < self.a.steps:
                if self.step == keep_at:
                    self.save()
                    shutil.copyfile(self.state_path, os.path.join(self.a.out, 'kept.pt'))
                record = train_step(self.step)
                rate = (self.step + 1 - first) * tokens_per_step / (time.time() - start)
                records.append((self.step, record, rate))
                self.step += 1
                enough = self.a.stop_after is not None and self.step - first >= self.a.stop_after
                done = self.step == self.a.steps
                if time.time() - last_print > 10 or done:
                    last_print = time.time()
                    values = ' '.join('%s %.4f' % e for e in write().items())
                    print('step %d/%d %s, %.0f tokens/s' % (self.step, self.a.steps, values, rate), flush=True)
                if self.interrupted or enough or self.step % self.a.save_every == 0 or done:
                    if records:
                        write()
                    self.save()
                if self.interrupted or enough:
                    return done
        return True
