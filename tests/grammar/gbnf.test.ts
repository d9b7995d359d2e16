import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import { parseGbnf } from '../../src/grammar/gbnf.js'
import { matches, read } from './texts.js'

function expectMatches(grammar: string, yes: readonly string[], no: readonly string[]): void {
  const parsed = parseGbnf(grammar)
  expect(yes.filter((text) => !matches(parsed, text))).toEqual([])
  expect(no.filter((text) => matches(parsed, text))).toEqual([])
}

describe('parseGbnf', () => {
  it('reads arithmetic', () => {
    expectMatches(
      `# sums of products
       root  ::= (expr "=" ws term "\\n")+
       expr  ::= term ([-+*/] term)*
       term  ::= ident | num | "(" ws expr ")" ws
       ident ::= [a-z] [a-z0-9_]* ws   # a name
       num   ::= [0-9]+ ws
       ws    ::= [ \\t\\n]*`,
      ['1=2\n', 'a1 +(b *2) = 3\n', '((1))=x\n1=1\n'],
      ['', '1=2', '1+=2\n', '(1=2\n', 'A=1\n'],
    )
  })

  it('reads a list, and alternatives that begin on their own line', () => {
    expectMatches(
      `root ::= item+
       item ::= "- " [^\\r\\n\\x0b\\u2028]+ "\\n"
         | "* " "x"
         | "+"`,
      ['- eggs\n', '- é\n- 日本🙂\n', '* x+- a\n'],
      ['', '- \n', '- a', '- a\u2028\n'],
    )
  })

  it('reads JSON', () => {
    expectMatches(
      `root   ::= object
       value  ::= object | array | string | number | ("true" | "false" | "null") ws
       object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
       array  ::= "[" ws ( value ("," ws value)* )? "]" ws
       string ::= "\\"" ( [^"\\\\\\x7F\\x00-\\x1F] | "\\\\" (["\\\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\\"" ws
       number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
       ws     ::= | " " | "\\n" [ \\t]{0,20}`,
      ['{}', '{"a":[1,2.5,{"é\\n":null}], "b": true}', '{ "a": "🙂"}'],
      ['[]', '{"a"}', '{"a":1,}', '{"a":"\u0001"}', '{"a":01}'],
    )
  })

  it('reads repetitions, the dot, empty alternatives and every escape', () => {
    expectMatches(
      'root ::= "a"{2} "b"{1,} ("c" "d"){0,2} .?',
      ['aab', 'aabbcdcd', 'aab🙂', 'aab\n'],
      ['ab', 'aa', 'aabcdcdcd'],
    )
    expectMatches('root ::= ("x" | ) "y"*', ['', 'x', 'yy', 'xy'], ['xx', 'yx'])
    expectMatches(
      'root ::= "\\x41\\u00e9\\U0001F642\\"\\\\\\n\\t\\r" [\\]\\-a-]',
      ['Aé🙂"\\\n\t\r]', 'Aé🙂"\\\n\t\r-'],
      ['Aé🙂"\\\n\t\rb'],
    )
    expectMatches('root ::= ([a-c]+)?{2,3}', ['', 'abc'], ['d'])
  })

  it('reads recursion to the left of nothing and to the right of everything', () => {
    expectMatches('root ::= "(" root ")" root | ""', ['', '()', '(())()'], ['(', ')', '(()'])
    expectMatches('root ::= "a" root | "b"', [`${'a'.repeat(5000)}b`], ['a'])
  })

  it('reads texts with exponentially many readings', () => {
    const grammar = parseGbnf('root ::= "a" root "b" | "a" root "c" | "a" root ("b" | "c") | "x"')
    const state = read(grammar, `${'a'.repeat(300)}x${'bc'.repeat(150)}`)
    expect(state.accepts).toBe(true)
    expect(state.frames.length).toBeLessThan(10)
    expect(matches(parseGbnf('root ::= ("a" | "a")* s* "b"\ns ::= "a" | "a" s | "aa"'), `${'a'.repeat(200)}b`)).toBe(
      true,
    )
  })

  it('needs no stack for what comes last, and one for a rule however many call it', () => {
    const right = parseGbnf('root ::= "a" root | "b"')
    expect(read(right, 'aaaa')).toBe(read(right, 'a'))
    // What calls a rule is known before it is entered, in whichever order the calls are found.
    expect(parseGbnf('root ::= c "2" | a "1"\na ::= c "3"\nc ::= "x"').start.frames).toHaveLength(1)
    expect(parseGbnf('root ::= a "1" | c "2"\na ::= c "3"\nc ::= "x"').start.frames).toHaveLength(1)
  })

  it.each([
    ['root := "a"', /line 1|::=/],
    ['root ::= "a"\nx ::= "b', /line 2.*not closed/],
    ['root ::= [a', /class is not closed/],
    ['root ::= []', /class is empty/],
    ['root ::= [z-a]', /backwards/],
    ['root ::= "a"\n\nother ::= missing', /line 3.*"missing" is not defined/],
    ['a ::= "b"', /no rule "root"/],
    ['', /no rule "root"/],
    ['root ::= "a"\nroot ::= "b"', /line 2.*twice/],
    ['root ::= ("a"', /"\)" is missing/],
    ['root ::= "a")', /cannot be here/],
    ['root ::= *', /nothing stands before/],
    ['root ::= "a"{', /count must follow/],
    ['root ::= "a"{2', /"}" is missing/],
    ['root ::= "a"{3,2}', /at least more than at most/],
    ['root ::= "\\q"', /escape/],
    ['root ::= "\\u12"', /4 hexadecimal digits/],
    ['root ::= "\\UFFFFFFFF"', /no character/],
    ['root ::= root2 root2 ::=', /"root2" is not defined|cannot be here/],
    ['root ::= "a" root', /No text matches/],
  ])('refuses %j', (text, message) => {
    const parse = () => parseGbnf(text)
    expect(parse).toThrow(message)
    expect(parse).toThrow(expect.objectContaining({ code: 'bad-option' }))
  })

  it.each([
    ['root ::= root "a" | "b"', /left-recursive: root → root/],
    ['root ::= x? root "a" | "b"\nx ::= "c"', /left-recursive/],
    ['root ::= a\na ::= b "x" | "x"\nb ::= a', /left-recursive: a → b → a/],
    ['root ::= "a"{1000000}', /too large/],
    ['root ::= "a"{99999999999999999999}', /too large/],
    [`root ::= ${'('.repeat(1000)}"a"${')'.repeat(1000)}`, /nested/],
    ['root ::= <think>', /token references/],
  ])('does not do %j', (text, message) => {
    const parse = () => parseGbnf(text)
    expect(parse).toThrow(message)
    expect(parse).toThrow(expect.objectContaining({ code: 'unsupported' }))
  })

  it('repeats repetitions within bounds', () => {
    const grammar = parseGbnf('root ::= ((("a"{1000}){1000}){1000}){1000} | "b"')
    expect(matches(grammar, 'b')).toBe(true)
    expect(read(grammar, 'a'.repeat(3000))).not.toBe(grammar.dead)
  })

  it('forgets states without mistakes', () => {
    // Every byte makes a new state, more than are remembered.
    const grammar = parseGbnf('root ::= "<" root ">" | "x"')
    const depth = 60_000
    expect(matches(grammar, `${'<'.repeat(depth)}x${'>'.repeat(depth)}`)).toBe(true)
    expect(matches(grammar, `${'<'.repeat(depth)}x${'>'.repeat(depth - 1)}`)).toBe(false)
    expect(matches(grammar, '<x>')).toBe(true)
  })

  it('gives typed errors for any text', () => {
    const piece = fc.constantFrom(
      'root',
      '::=',
      ' ',
      '\n',
      '"a"',
      '[a-z]',
      '[^b]',
      '(',
      ')',
      '|',
      '*',
      '+',
      '?',
      '{2}',
      '{1,}',
      '{0,9}',
      '.',
      'x',
      '#',
      '\\',
      '"',
      '{99999}',
      'é',
    )
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc.array(piece, { maxLength: 25 }).map((parts) => parts.join('')),
      fc.array(piece, { maxLength: 25 }).map((parts) => `root ::= ${parts.join('')}\nx ::= "q"`),
    )
    fc.assert(
      fc.property(text, fc.string({ maxLength: 8 }), (grammar, input) => {
        try {
          matches(parseGbnf(grammar), input)
        } catch (error) {
          expect(error).toBeInstanceOf(SkipstoneError)
        }
      }),
      { numRuns: 1000 },
    )
  })
})
