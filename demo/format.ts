export function percent(share: number): string {
  return `${Math.round(100 * share)} %`
}

export function bytes(count: number): string {
  if (count < 1e6) return `${(count / 1e3).toFixed(0)} kB`
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e9).toFixed(2)} GB`
}

export function rate(perSecond: number): string {
  return perSecond > 0 ? `${perSecond < 10 ? perSecond.toFixed(1) : perSecond.toFixed(0)} tokens/s` : '–'
}

export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}
