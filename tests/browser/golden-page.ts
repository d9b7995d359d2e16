// The page of golden.test.ts: the public surface, run by the same code as in Node.
import { loadModel, type Model } from '../../src/index.js'
import { AliasSource } from '../../src/storage/alias-source.js'
import { UrlSource } from '../../src/storage/url-source.js'
import type { Outcome } from '../golden/compare.js'
import { type Case, runCase } from '../golden/run-case.js'

/** Addresses of folders on the page's own server; `routerFile` lies in `routers`. */
export interface PageLoad {
  model: string
  routers: string
  routerFile: string
  lora?: string
}

let model: Model | undefined

const at = (place: string) => new UrlSource(new URL(place, location.href).href)

async function load({ model: place, routers, routerFile, lora }: PageLoad): Promise<void> {
  model?.dispose()
  model = await loadModel(at(place), {
    routers: new AliasSource(at(routers), { 'routers.safetensors': routerFile }),
    ...(lora && { lora: at(lora) }),
  })
}

async function run(o: Case): Promise<Outcome> {
  return runCase(model as Model, o)
}

Object.assign(globalThis, { skipstoneHost: { load, run } })
