/**
 * Removes what the browser's database keeps of a run of `model.tune`, by its `key`, also when the page that began it is gone. Nothing happens where
 * nothing is kept.
 */
export async function forgetRun(key: string): Promise<void> {
  await (await import('../storage/tuning-memory.js')).tuningMemory.delete(key)
}
