import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findChatTemplate } from '../../src/text/chat-template.js'
import { keepNumbers, restoreNumbers } from '../../src/text/exact-numbers.js'

describe('numbers of JSON', () => {
  const number = fc.constantFrom(
    '12345678901234567890',
    '-9007199254740993',
    '1.0',
    '-0',
    '1E5',
    '1e-400',
    '0',
    '-12.5',
  )
  const leaf = fc.oneof(
    number,
    fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text)),
    fc.constant('null'),
  )
  const { json } = fc.letrec<{ json: string }>((tie) => ({
    json: fc.oneof(
      { maxDepth: 2 },
      leaf,
      fc.array(tie('json'), { maxLength: 3 }).map((values) => `[${values.join()}]`),
      fc.dictionary(fc.string(), tie('json'), { maxKeys: 3, noNullPrototype: true }).map((values) => {
        return `{${Object.entries(values)
          .map(([key, value]) => `${JSON.stringify(key)}:${value}`)
          .join()}}`
      }),
    ),
  }))

  it('are as they were after a template has written it', () => {
    fc.assert(
      fc.property(json, (written) => {
        // JavaScript has whole-number keys come first, and one of a kind.
        fc.pre(!/"(\d+|__proto__)":/.test(written) && !written.includes('\uffff'))
        expect(restoreNumbers(JSON.stringify(JSON.parse(keepNumbers(written))))).toBe(written)
      }),
    )
  })

  it('are numbers for a template where JavaScript writes them the same', () => {
    expect(JSON.parse(keepNumbers('{"a": [1, -2.5, "1.0"], "b": 1e21}'))).toMatchObject({ a: [1, -2.5, '1.0'] })
  })

  it('reach a text with and without tojson', async () => {
    const template = (await findChatTemplate(
      {},
      '{{ messages[0].tool_calls[0] | tojson }}{{ messages[0].tool_calls[0].id }}',
    ))!
    const call = JSON.parse(keepNumbers('{"id": 12345678901234567890, "of": [1.0, 2, "3.0"]}')) as object
    expect(template.render([{ role: 'assistant', content: '', tool_calls: [call] }])).toBe(
      '{"id": 12345678901234567890, "of": [1.0, 2, "3.0"]}12345678901234567890',
    )
  })
})
