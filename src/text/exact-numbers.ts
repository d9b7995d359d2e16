/** Around what stands for a number; no text has it. */
const MARK = '\uffff'

/** JSON with strings for those of its numbers that JavaScript would write otherwise, such as 1.0 or whole ones above 2^53. */
export function keepNumbers(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
    token.startsWith('"') || String(Number(token)) === token ? token : `"${MARK}${token}${MARK}"`,
  )
}

/** What a template made of such JSON, with the numbers again. */
export function restoreNumbers(text: string): string {
  return text.replace(/"?\uffff([\d.eE+-]+)\uffff"?/g, '$1')
}
