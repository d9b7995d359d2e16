import { describe, expect, it } from 'vitest'
import { PickedFilesSource } from '../../src/storage/file-source.js'

/** A file as a folder picker gives it; Node's File has no path, browsers give it to the instance read-only. */
function picked(path: string, text: string): File {
  const file = new File([text], path.split('/').at(-1)!)
  Object.defineProperty(file, 'webkitRelativePath', { value: path })
  return file
}

const text = async (bytes: Promise<Uint8Array>): Promise<string> => new TextDecoder().decode(await bytes)

const failsWith = (code: string): object => expect.objectContaining({ name: 'SkipstoneError', code })

describe('PickedFilesSource', () => {
  it('reads loose files by name', async () => {
    const source = new PickedFilesSource([new File(['hello world'], 'a.txt')])
    expect(await source.has('a.txt')).toBe(true)
    expect(await source.has('b.txt')).toBe(false)
    expect(await source.size('a.txt')).toBe(11)
    expect(await text(source.read('a.txt'))).toBe('hello world')
    expect(await text(source.read('a.txt', { start: 6, end: 11 }))).toBe('world')
  })

  it('prefers the file nearest to the chosen folder, in any order', async () => {
    const files = [
      picked('model/lora/config.json', 'adapter'),
      picked('model/config.json', 'model'),
      picked('model/x/y/config.json', 'deep'),
    ]
    expect(await text(new PickedFilesSource(files).read('config.json'))).toBe('model')
    expect(await text(new PickedFilesSource(files.reverse()).read('config.json'))).toBe('model')
  })

  it('leaves out folders below a model', async () => {
    const source = new PickedFilesSource([
      picked('model/skipgpt-25/routers.safetensors', '25'),
      picked('model/skipgpt-40/routers.safetensors', '40'),
      picked('model/config.json', 'model'),
    ])
    expect(await source.has('routers.safetensors')).toBe(false)
    expect(await text(source.read('config.json'))).toBe('model')
  })

  it('refuses to choose between two equally near files, but only once they are asked for', async () => {
    const files = [picked('m/a/config.json', '1'), picked('m/b/config.json', '2'), picked('m/b/other.json', '3')]
    const source = new PickedFilesSource(files)
    expect(await text(source.read('other.json'))).toBe('3')
    await expect(source.read('config.json')).rejects.toEqual(failsWith('bad-option'))
    await expect(source.size('config.json')).rejects.toThrow('m/a/config.json, m/b/config.json')
  })

  it('reports what is missing, too short, unreadable or aborted', async () => {
    const gone = new File(['abc'], 'gone')
    Object.defineProperty(gone, 'slice', {
      value: () => ({ arrayBuffer: () => Promise.reject(new Error('NotReadableError')) }),
    })
    const source = new PickedFilesSource([new File(['abc'], 'a'), gone])
    await expect(source.read('b')).rejects.toEqual(failsWith('not-found'))
    await expect(source.read('a', { start: 0, end: 4 })).rejects.toEqual(failsWith('bad-file'))
    await expect(source.read('gone')).rejects.toEqual(failsWith('not-found'))
    await expect(source.read('a', undefined, AbortSignal.abort())).rejects.toEqual(failsWith('aborted'))
    await expect(source.has('a', AbortSignal.abort())).rejects.toEqual(failsWith('aborted'))
  })
})
