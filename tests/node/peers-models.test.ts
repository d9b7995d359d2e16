import { expect, it } from 'vitest'
import { openModelFiles } from '../../src/sdk/model-files.js'
import { syntheticCheckpoint, syntheticConfig } from '../../src/study/synthetic.js'
import { ggufLlama } from '../../tools/peers/models/gguf-llama.js'
import { onnxFile } from '../../tools/peers/models/onnx-file.js'
import { onnxLlama } from '../../tools/peers/models/onnx-llama.js'
import { idsOfText, textOfIds } from '../../tools/peers/models/token-names.js'
import { f32Of, type PeerModel } from '../../tools/peers/models/weights.js'
import { MemorySource } from '../fixtures/memory-source.js'

const config = {
  ...syntheticConfig('syn-15m'),
  layers: 2,
  hiddenSize: 12,
  intermediateSize: 20,
  heads: 3,
  kvHeads: 1,
  headDim: 4,
  vocabSize: 40,
  contextLength: 8,
}
const model: PeerModel = { config, checkpoint: syntheticCheckpoint(config) }

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}

type Fields = Map<number, (bigint | Uint8Array<ArrayBuffer>)[]>

/** The fields of a message by number; what they mean is the reader's business. */
function fieldsOf(message: Uint8Array<ArrayBuffer>): Fields {
  const fields: Fields = new Map()
  let at = 0
  const varint = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = BigInt(message[at++]!)
      value |= (byte & 127n) << shift
      if (byte < 128n) return value
    }
  }
  const bytes = (length: number) => {
    at += length
    return message.slice(at - length, at)
  }
  while (at < message.length) {
    const tag = Number(varint())
    const wire = tag & 7
    const value = wire === 0 ? varint() : bytes(wire === 5 ? 4 : Number(varint()))
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), value])
  }
  return fields
}

const messages = (fields: Fields, number: number) =>
  (fields.get(number) ?? []).map((one) => fieldsOf(one as Uint8Array<ArrayBuffer>))
const texts = (fields: Fields, number: number) =>
  (fields.get(number) ?? []).map((one) => new TextDecoder().decode(one as Uint8Array))
const numbers = (fields: Fields, number: number) =>
  (fields.get(number) ?? []).map((one) => Number(BigInt.asIntN(64, one as bigint)))

it('writes an ONNX model whose nodes find their inputs and whose weights are the transposed ones', async () => {
  const file = fieldsOf(joined(onnxFile(await onnxLlama(model))))
  const opsets = messages(file, 8).map((one) => [texts(one, 1)[0], numbers(one, 2)[0]])
  expect(opsets).toEqual([
    ['', 21],
    ['com.microsoft', 1],
  ])
  const [graph] = messages(file, 7)
  const tensors = new Map(messages(graph!, 5).map((one) => [texts(one, 8)[0]!, one]))
  const known = new Set([...tensors.keys(), ...messages(graph!, 11).map((one) => texts(one, 1)[0]!)])
  const nodes = messages(graph!, 1)
  for (const node of nodes) {
    for (const name of texts(node, 1)) expect(name === '' || known.has(name), name).toBe(true)
    for (const name of texts(node, 2)) known.add(name)
  }
  for (const output of messages(graph!, 12)) expect(known).toContain(texts(output, 1)[0])
  expect(nodes.filter((node) => texts(node, 4)[0] === 'GroupQueryAttention')).toHaveLength(config.layers)
  const axis = messages(nodes.at(-1)!, 5).find((attribute) => texts(attribute, 1)[0] === 'axis')
  expect(numbers(axis!, 3)).toEqual([-1])

  const down = tensors.get('down.1.weight')!
  expect(numbers(down, 1)).toEqual([config.intermediateSize, config.hiddenSize])
  const written = new Float32Array((down.get(9)![0] as Uint8Array<ArrayBuffer>).buffer)
  const original = await f32Of(model, 'model.layers.1.mlp.down_proj.weight')
  const [row, column] = [7, 13]
  expect(written[column * config.hiddenSize + row]).toBe(original[row * config.intermediateSize + column])
  const stacked = numbers(tensors.get('qkv.0.weight')!, 1)
  expect(stacked).toEqual([config.hiddenSize, (config.heads + 2 * config.kvHeads) * config.headDim])
})

it('writes a GGUF file that reads back as the same model', async () => {
  const file = joined(await ggufLlama(model))
  const read = await openModelFiles(new MemorySource(new Map([['model.gguf', file]])))
  expect(read.config).toMatchObject({
    layers: config.layers,
    heads: config.heads,
    kvHeads: config.kvHeads,
    headDim: config.headDim,
    vocabSize: config.vocabSize,
    contextLength: config.contextLength,
    tiedEmbeddings: true,
  })
  expect([...read.checkpoint.entries.keys()].sort()).toEqual([...model.checkpoint.entries.keys()].sort())
  for (const name of model.checkpoint.entries.keys()) {
    expect(await f32Of({ config, checkpoint: read.checkpoint }, name), name).toEqual(await f32Of(model, name))
  }
})

it('writes ids as text that says which they are', () => {
  expect(idsOfText(textOfIds([0, 3, 255, 49151]))).toEqual([0, 3, 255, 49151])
})
