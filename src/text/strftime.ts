/** One part of a date in English, whatever the browser's language: templates were written against Python's C locale. */
function named(date: Date, part: Intl.DateTimeFormatOptions): string {
  return new Intl.DateTimeFormat('en-US', part).format(date)
}

function pad(value: number, length = 2): string {
  return String(value).padStart(length, '0')
}

const DIRECTIVES: Record<string, (date: Date) => string> = {
  Y: (d) => String(d.getFullYear()),
  y: (d) => pad(d.getFullYear() % 100),
  m: (d) => pad(d.getMonth() + 1),
  d: (d) => pad(d.getDate()),
  B: (d) => named(d, { month: 'long' }),
  b: (d) => named(d, { month: 'short' }),
  A: (d) => named(d, { weekday: 'long' }),
  a: (d) => named(d, { weekday: 'short' }),
  H: (d) => pad(d.getHours()),
  I: (d) => pad(d.getHours() % 12 || 12),
  M: (d) => pad(d.getMinutes()),
  S: (d) => pad(d.getSeconds()),
  p: (d) => (d.getHours() < 12 ? 'AM' : 'PM'),
  '%': () => '%',
}

/** Python's `strftime` for the directives that chat templates use, local time; others are left as they stand. */
export function strftime(date: Date, format: string): string {
  return format.replace(/%([A-Za-z%])/g, (text, letter: string) => DIRECTIVES[letter]?.(date) ?? text)
}
