/**
 * Keeps native code off this program's standard output. Dawn prints warnings and validation messages with C stdio on
 * descriptor 1, where JavaScript cannot stop it; a program whose output is one JSON object calls this first. The
 * program is started again as a child whose descriptor 1 is the caller's stderr, and whose results go through
 * `writeStdout` to the caller's stdout. In the first process this never returns: it passes signals on and exits with the
 * child's status (128 + n after signal n). In the child it returns at once.
 */
export function ownStdout(): Promise<void>

/** Writes to the caller's stdout, also where `ownStdout` has moved it; returns when everything is written. */
export function writeStdout(text: string | Uint8Array): void
