export { ERROR_CODES, type ErrorCode, SkipstoneError } from './errors.js'
export type { ModelConfig } from './model/config.js'
export type { Traffic } from './model/traffic.js'
export type { SkipRatios, TraceFile, TraceStep } from './runtime/trace.js'
export type { Embeddable, EmbedInput, EmbedOptions } from './sdk/embed-request.js'
export type { InspectOptions, ModelSummary } from './sdk/inspect.js'
export { inspectModel } from './sdk/inspect-model.js'
export { loadModel } from './sdk/load.js'
export type { LoadPhase } from './sdk/load-phases.js'
export type { DeviceFacts, EvaluateOptions, Model, ProfileOptions } from './sdk/model-api.js'
export type { CallOptions, ChatCompletions } from './sdk/openai/completions.js'
export type { EmbeddingList, EmbeddingRequest } from './sdk/openai/embeddings.js'
export { openAiFetch } from './sdk/openai/fetch.js'
export type { TextCompletions } from './sdk/openai/text-completions.js'
export type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatLogprobs,
  ChatRequest,
  CompletionOptions,
  RequestMessage,
  ResponseFormat,
  TextCompletion,
  TextLogprobs,
  TextPrompt,
  TextRequest,
  Tool,
  ToolCall,
  ToolChoice,
  Usage,
} from './sdk/openai/types.js'
export type {
  ChatOptions,
  EndStep,
  FinishReason,
  GenerateOptions,
  LoadOptions,
  LoadProgress,
  ModelSource,
  PromptStep,
  SessionOptions,
  SourceOptions,
  Step,
  TextFormat,
  TokenLogprob,
  TokenLogprobs,
  TokenStep,
} from './sdk/options.js'
export type { Overflow } from './sdk/overflow.js'
export { dense, forced, type PolicyRequest, policy, type SkipgptRequest, skipgpt } from './sdk/policies.js'
export { type CreateOptions, type LanguageModel, languageModel } from './sdk/prompt-api/language-model.js'
export type { PromptInput, PromptMessage } from './sdk/prompt-api/messages.js'
export type { PromptOptions, PromptSession } from './sdk/prompt-api/prompt-session.js'
export type { Session, SessionStats } from './sdk/session-api.js'
export { deleteModel, keepModels, listModels, modelSize, verifyModel } from './sdk/stored-models.js'
export type { ModelText } from './sdk/text-api.js'
export type { TuneData, TuneEvaluation, TuneOptions, TuneRun, TuneStep } from './sdk/tune-api.js'
export { forgetRun } from './sdk/tune-forget.js'
export { weightBytesPerToken } from './sdk/weight-bytes.js'
export type { SkipProfile } from './skip/profile.js'
export { type PolicyInfo, type PolicyNeeds, policies, policyAt, policyText } from './skip/registry.js'
export type { HubOptions } from './storage/hub.js'
export type { StoredFile, StoredModel, Verification } from './storage/library.js'
export type { ByteRange, FetchOptions, FetchProgress, FileSource } from './storage/source.js'
export { agreement, partsAt } from './study/compare.js'
export type { DeviceLimits } from './study/device-limits.js'
export type { Pooling } from './study/embed.js'
export type { ProfileResult, ProfileRow, ProfileSublayers } from './study/profile.js'
export type { Speed } from './study/speeds.js'
export type { Sweep, SweepLine, SweepOptions, SweepPoint, SweepSpeed } from './study/sweep.js'
export type { ChatMessage, RenderOptions } from './text/chat-template.js'
export type { TokenPiece } from './text/token-pieces.js'
