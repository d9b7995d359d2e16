import { bytes, float, integer, type Message, message, text } from './protobuf.js'

/** Field and enumeration numbers: onnx.proto of github.com/onnx/onnx. */
export const ELEMENT = { float: 1, int32: 6, int64: 7 } as const
export type ElementType = keyof typeof ELEMENT

const ATTRIBUTE_TYPE = { float: 1, integer: 2 }
const IR_VERSION = 10
const OPSETS: readonly (readonly [domain: string, version: number])[] = [
  ['', 21],
  ['com.microsoft', 1],
]

/** A number as it is meant: ONNX tells 1 from 1.0. */
export type Attribute = { readonly float: number } | { readonly integer: number }

export interface OnnxNode {
  readonly op: string
  readonly domain?: 'com.microsoft'
  /** An empty name leaves an optional input out. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes?: Readonly<Record<string, Attribute>>
}

export interface OnnxTensor {
  readonly name: string
  readonly type: ElementType
  readonly shape: readonly number[]
  /** Row-major, little-endian. */
  readonly data: Uint8Array
}

/** An input or output of the graph; sizes that are names may differ from run to run. */
export interface OnnxValue {
  readonly name: string
  readonly type: ElementType
  readonly shape: readonly (number | string)[]
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[]
  readonly tensors: readonly OnnxTensor[]
  readonly inputs: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
}

/** An ONNX file in pieces, to be written one after the other. */
export function onnxFile(graph: OnnxGraph): Message {
  return [
    integer(1, IR_VERSION),
    text(2, 'skipstone-bench-peers'),
    message(7, [
      ...graph.nodes.map((node, index) => message(1, nodeFields(node, index))),
      text(2, 'model'),
      ...graph.tensors.map((tensor) => message(5, tensorFields(tensor))),
      ...graph.inputs.map((value) => message(11, valueFields(value))),
      ...graph.outputs.map((value) => message(12, valueFields(value))),
    ]),
    ...OPSETS.map(([domain, version]) => message(8, [text(1, domain), integer(2, version)])),
  ].flat()
}

function nodeFields({ op, domain, inputs, outputs, attributes = {} }: OnnxNode, index: number): Message[] {
  return [
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(3, `${op}_${index}`),
    text(4, op),
    ...Object.entries(attributes).map(([name, value]) => message(5, attributeFields(name, value))),
    ...(domain === undefined ? [] : [text(7, domain)]),
  ]
}

function attributeFields(name: string, value: Attribute): Message[] {
  return 'float' in value
    ? [text(1, name), float(2, value.float), integer(20, ATTRIBUTE_TYPE.float)]
    : [text(1, name), integer(3, value.integer), integer(20, ATTRIBUTE_TYPE.integer)]
}

function tensorFields({ name, type, shape, data }: OnnxTensor): Message[] {
  return [...shape.map((size) => integer(1, size)), integer(2, ELEMENT[type]), text(8, name), bytes(9, data)]
}

function valueFields({ name, type, shape }: OnnxValue): Message[] {
  const sizes = shape.map((size) => message(1, [typeof size === 'number' ? integer(1, size) : text(2, size)]))
  return [text(1, name), message(2, [message(1, [integer(1, ELEMENT[type]), message(2, sizes)])])]
}
