import type { ChatMessage } from './chat-template.js'

/**
 * The messages for a template whose model knows more of tools than it does; others as they are. The templates of Granite 3 and Phi read no
 * calls: there they are text. Phi's reads tools, where there are some, from a system message.
 */
export function plainTools(
  messages: readonly ChatMessage[],
  tools: readonly object[] | null,
  template: string,
): readonly ChatMessage[] {
  if (template.includes('tool_calls') || !template.includes('<|tool')) return messages
  const functions = (list: readonly { function?: object }[]) => JSON.stringify(list.map((one) => one.function))
  const written = messages.map(({ tool_calls: calls, ...message }) =>
    calls ? { ...message, content: `${message.content}<|tool_call|>${functions(calls)}` } : message,
  )
  if (!tools || !/message\W+tools/.test(template)) return written
  const [system, ...others] = written[0]?.role === 'system' ? written : [{ role: 'system', content: '' }, ...written]
  return [{ ...(system as ChatMessage), tools: functions(tools) }, ...others]
}
