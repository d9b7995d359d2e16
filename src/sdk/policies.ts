import { checkPolicy, type PolicyRequest, parsePolicy } from '../skip/registry.js'

export type { PolicyRequest }

/** Every token runs every sublayer. */
export function dense(): PolicyRequest {
  return { name: 'dense', options: {} }
}

export interface SkipgptRequest {
  /** Share of sublayer visits to skip, 0 to 1: δ is then chosen on text that the model samples itself. */
  budget?: number
  /** Or the margin shift δ itself: execute iff z >= δ. Default 0. */
  delta?: number
  /** What the MLP's router reads; default `entry`, the published form. */
  input?: 'entry' | 'post-attention'
}

/** SkipGPT: learned routers decide per token and sublayer. The model must have been loaded with routers. */
export function skipgpt(options: SkipgptRequest = {}): PolicyRequest {
  return request('skipgpt', options)
}

/** Masks by lot with probability `skip`, for tests and benchmarks. */
export function forced(options: { skip?: number; seed?: number } = {}): PolicyRequest {
  return request('forced', options)
}

/** A policy from its text form, such as "skipgpt:budget=0.4". */
export function policy(text: string): PolicyRequest {
  return parsePolicy(text)
}

function request(name: string, options: object): PolicyRequest {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return checkPolicy({ name, options: Object.fromEntries(given) as PolicyRequest['options'] })
}
