import { StrictMode, useEffect, useRef, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { loadModel, type Model, skipgpt } from 'skipstone/worker'

const pebble = new URL('../models/pebble/', location.href).href

function useModel(): { model: Model | undefined; error: string } {
  const [model, setModel] = useState<Model>()
  const [error, setError] = useState('')
  useEffect(() => {
    const leaves = new AbortController()
    let mine: Model | undefined
    loadModel(pebble, {
      routers: `${pebble}skipgpt-25/`,
      lora: `${pebble}skipgpt-25/lora/`,
      signal: leaves.signal,
    }).then(
      (loaded) => {
        mine = loaded
        if (leaves.signal.aborted) loaded.dispose()
        else setModel(loaded)
      },
      (reason) => leaves.signal.aborted || setError(String(reason)),
    )
    return () => {
      leaves.abort()
      mine?.dispose()
    }
  }, [])
  return { model, error }
}

function Story() {
  const { model, error } = useModel()
  const [text, setText] = useState('')
  const [failure, setFailure] = useState('')
  const running = useRef<AbortController>(null)

  async function write(): Promise<void> {
    if (!model) return
    running.current?.abort()
    running.current = new AbortController()
    const { signal } = running.current
    setFailure('')
    setText('')
    using session = model.createSession({ policy: skipgpt() })
    try {
      for await (const step of session.generate('Once upon a time', { maxTokens: 60, signal })) {
        setText((before) => before + step.text)
      }
    } catch (reason) {
      if (!signal.aborted) setFailure(String(reason))
    }
  }

  return (
    <>
      <button type="button" disabled={!model} onClick={write}>
        {model ? 'Write a story' : 'Loading…'}
      </button>
      <p role="alert">{error || failure}</p>
      <p className="output">{text && `Once upon a time${text}`}</p>
    </>
  )
}

const root = document.getElementById('root')
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Story />
    </StrictMode>,
  )
}
