/** The AI Cofounders: who they are, what one asks them, and the events in which they answer. */
import { z } from 'zod';
import { maxAttachmentBytes, maxAttachments, maxContent, maxHistory, maxHistoryContent } from './bounds.ts';
import { fallbackReasons, KeySource, ProviderId } from './keys.ts';

export const AgentSlug = z
  .string()
  .regex(/^[a-z][a-z0-9_]{1,31}$/, 'A slug: 2 to 32 small letters, digits and underscores, the first a letter.');

/** A model's name as providers give them. */
export const ModelName = z
  .string({ error: 'Name a model.' })
  .min(1, 'Name a model.')
  .max(200, 'At most 200 characters.')
  .regex(/^[\w.:/-]+$/, 'Letters, digits, dots, colons, dashes and slashes only.');

const models = z.object({ openai: z.string(), anthropic: z.string() }).describe('The model that it prefers, by provider.');

export const AgentView = z.object({
  slug: z.string(),
  name: z.string(),
  description: z.string().describe('What it is for, in a sentence or two.'),
  available: z.boolean().describe('Your plan has it.'),
  starters: z.array(z.string()),
  models,
  version: z.int().describe('0: as it was built; each change by an administrator adds one.'),
  isChanged: z.boolean(),
});
export type AgentView = z.infer<typeof AgentView>;
export const AgentList = z.object({ agents: z.array(AgentView) });

// Asking

/** A text file that goes with a message. The name becomes part of the prompt, so it holds nothing that could end it. */
export const Attachment = z.strictObject({
  name: z
    .string()
    .min(1, 'A file needs a name.')
    .max(200, 'A file name has at most 200 characters.')
    .regex(/^[^\p{Cc}"<>]*$/u, 'A file name has no quotes, angle brackets or control characters.'),
  text: z.string().refine((text) => !text.includes('\0'), 'Only text files can be attached.'),
});
export type Attachment = z.infer<typeof Attachment>;

const Attachments = z
  .array(Attachment)
  .max(maxAttachments, `At most ${maxAttachments} files.`)
  .refine((files) => files.reduce((sum, { text }) => sum + bytesOf(text), 0) <= maxAttachmentBytes, 'At most 200 kB in all files.');

const Content = z
  .string({ error: 'Write a message.' })
  .max(maxContent, `At most ${maxContent} characters.`)
  .refine((text) => text.trim() !== '', 'Write a message.')
  .refine((text) => !text.includes('\0'), 'A message is text.');

const Turn = z.strictObject({
  role: z.enum(['user', 'assistant']),
  content: z.string().max(maxHistoryContent),
  attachments: Attachments.optional(),
});

const question = {
  content: Content.optional().describe('Absent only with `regenerates`.'),
  conversationId: z.uuid('This is not the id of a conversation.').optional().describe('Goes on there; none: a new conversation.'),
  history: z
    .array(Turn)
    .max(maxHistory, `At most ${maxHistory} messages.`)
    .refine((turns) => turns.reduce((sum, { content }) => sum + content.length, 0) <= maxHistoryContent, 'It is too long.')
    .optional()
    .describe('What was said before, for those who keep nothing: with it, nothing of the answer is kept.'),
  provider: ProviderId.optional(),
  model: ModelName.optional(),
  attachments: Attachments.optional(),
  replaces: z
    .uuid('This is not the id of a message.')
    .optional()
    .describe('A message of yours in that conversation: it and all after it go, `content` takes its place.'),
  regenerates: z.literal(true).optional().describe('The last answer is dropped and made anew.'),
};

const rules = (ask: z.infer<z.ZodObject<typeof question>>, ctx: z.RefinementCtx): void => {
  const wrong = (path: string, message: string) => ctx.addIssue({ code: 'custom', path: [path], message });
  if (ask.history && ask.conversationId) wrong('history', 'Only without conversationId: a kept conversation has its own.');
  if (ask.replaces && !ask.conversationId) wrong('replaces', 'Only in a conversation: give conversationId.');
  if (!ask.regenerates && ask.content === undefined) wrong('content', 'Write a message.');
  if (!ask.regenerates) return;
  if (!ask.conversationId) wrong('regenerates', 'Only in a conversation: give conversationId.');
  for (const name of ['content', 'attachments', 'replaces'] as const)
    if (ask[name] !== undefined) wrong(name, 'Not with regenerates: the question stays as it is.');
};

/** What a person asks. Without `provider` and `model`: the conversation's, else the first whose own key works, else the platform's. */
export const Ask = z.strictObject({ agent: AgentSlug, ...question }).superRefine(rules);
export type Ask = z.infer<typeof Ask>;
/** The same without the agent, which stands in the path of its REST route. */
export const Question = z.strictObject(question).superRefine(rules);

export const Asked = z.object({
  answerId: z.uuid().describe("Of the answer under way, for `agents.answer` and `agents.stop`; it is its message's id."),
  conversationId: z.uuid().nullable().describe('null: nothing of it is kept.'),
  messageId: z.uuid(),
  userMessageId: z.uuid().nullable(),
});
export type Asked = z.infer<typeof Asked>;

export const AnswerRef = z.strictObject({ answerId: z.uuid('This is not the id of an answer.') });
export const AnswerWatch = z.strictObject({
  answerId: z.uuid('This is not the id of an answer.'),
  /** What the last event carried as its id: what comes after it is sent. tRPC's clients fill it in. */
  lastEventId: z.string().max(100).nullish(),
});

// Answering

const known = z.int().nullable();
const cost = z.number().nullable().describe('In dollars, an estimate from public prices; null: unknown.');
const fallbackReason = z.enum(fallbackReasons).nullable().describe('Why your own key did not answer, if you have one.');

/**
 * In this order: `start`, any number of `delta`, at most one `handover`, at most one `usage`, then `done` or `error`, which is the last.
 * Whoever comes again with the id of the last event gets what came after it; several missed deltas come as one.
 */
export const AnswerEvent = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('start'),
    conversationId: z.uuid().nullable(),
    messageId: z.uuid(),
    userMessageId: z.uuid().nullable(),
    agent: z.string(),
    provider: ProviderId,
    model: z.string(),
    keySource: KeySource.nullable().describe('Whose key answers; null: none was tried, and the end follows.'),
    fallbackReason,
    droppedTurns: z.int().describe('So many of the oldest questions with their answers were left out, for length.'),
  }),
  z.object({ type: z.literal('delta'), text: z.string() }),
  z.object({ type: z.literal('handover'), agent: z.string().describe('The colleague whom it proposes.') }),
  z.object({ type: z.literal('usage'), inputTokens: known, outputTokens: known, estimatedCostUsd: cost, requestId: z.string() }),
  z.object({
    type: z.literal('done'),
    stopped: z.boolean().describe('By you; what was said so far is kept.'),
    cut: z.boolean().describe('The model reached the most that it may say at once.'),
  }),
  z.object({ type: z.literal('error'), code: z.string(), detail: z.string() }),
]);
export type AnswerEvent = z.infer<typeof AnswerEvent>;

// Conversations

export const ConversationRef = z.strictObject({ id: z.uuid('This is not the id of a conversation.') });
export const Title = z
  .string()
  .trim()
  .min(1, 'A conversation needs a title.')
  .max(120, 'At most 120 characters.')
  .regex(/^\P{Cc}*$/u, 'One line, without control characters.');

export const ConversationSummary = z.object({
  id: z.uuid(),
  title: z.string().nullable().describe('null: it was sealed with a master key that this server does not have.'),
  agent: z.string(),
  messages: z.int(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});
export type ConversationSummary = z.infer<typeof ConversationSummary>;

export const ConversationsQuery = z.strictObject({
  query: z.string().max(200, 'At most 200 characters.').optional().describe('Looked for in the titles of the newest 2,000.'),
  cursor: z
    .string()
    .regex(/^\d{1,15}_[0-9a-f-]{36}$/, "cursor: the last answer's nextCursor, as it was.")
    .optional(),
});
/** The one that was written to last comes first. With `query` there are up to 200 and no cursor. */
export const ConversationPage = z.object({ conversations: z.array(ConversationSummary), nextCursor: z.string().nullable() });
export type ConversationPage = z.infer<typeof ConversationPage>;

export const messageStates = ['open', 'done', 'stopped', 'failed'] as const;
export const MessageView = z.object({
  id: z.uuid(),
  role: z.enum(['user', 'assistant']),
  content: z.string(),
  attachments: z.array(z.object({ name: z.string(), size: z.int().describe('Bytes.') })),
  agent: z.string().describe('Who was asked, or who answers.'),
  state: z.enum(messageStates),
  error: z.object({ code: z.string(), detail: z.string() }).nullable(),
  isCut: z.boolean().describe('The model reached the most that it may say at once.'),
  provider: ProviderId.nullable(),
  model: z.string().nullable(),
  keySource: KeySource.nullable(),
  fallbackReason,
  inputTokens: known,
  outputTokens: known,
  estimatedCostUsd: cost,
  requestId: z.string().nullable(),
  handover: z.string().nullable(),
  droppedTurns: z.int(),
  createdAt: z.iso.datetime(),
});
export type MessageView = z.infer<typeof MessageView>;

/** `answerId`: an answer is under way, and `agents.answer` tells it from its beginning. `hidden`: so many older messages are not shown. */
export const ConversationView = ConversationSummary.extend({
  messages: z.array(MessageView),
  hidden: z.int(),
  answerId: z.uuid().nullable(),
  provider: ProviderId.nullable().describe('Which it goes on with, unless another is named.'),
  model: z.string().nullable().describe('The one that was chosen; null: what the agent prefers.'),
});
export type ConversationView = z.infer<typeof ConversationView>;

export const RenameConversation = z.strictObject({ id: ConversationRef.shape.id, title: Title });
export const ConversationExport = z.strictObject({ format: z.enum(['markdown', 'json'], 'format: markdown or json.').default('markdown') });
export type ConversationExport = z.infer<typeof ConversationExport>;
/** Whether conversations are kept. Turned off, nothing new is written; what is there stays until it is deleted. */
export const Keeping = z.object({ keep: z.boolean() });
export const SetKeeping = z.strictObject({ keep: z.boolean() });

// Administration

const line = (most: number) =>
  z
    .string()
    .trim()
    .min(1, 'Say something here.')
    .max(most, `At most ${most} characters.`)
    .regex(/^\P{Cc}*$/u, 'One line, without control characters.');

/** OpenAI's models that take a temperature: reasoning models and their successors refuse any but their own. */
export const takesTemperature = (model: string): boolean => /^(ft:)?gpt-(3\.5|4)/.test(model);

export const maxDescription = 300;
export const maxPrompt = 16_000;
export const maxStarters = 8;

/** What an agent is. */
export const AgentDefinition = z.strictObject({
  name: line(60),
  description: line(maxDescription),
  prompt: z
    .string()
    .trim()
    .min(1, 'Say something here.')
    .max(maxPrompt, `At most ${maxPrompt} characters.`)
    .refine((text) => !text.includes('\0'), 'A prompt is text.'),
  starters: z.array(line(200)).max(maxStarters, `At most ${maxStarters} questions.`),
  models: z.strictObject({ openai: ModelName, anthropic: ModelName }),
  temperature: z
    .number({ error: 'From 0 to 2.' })
    .min(0, 'From 0 to 2.')
    .max(2, 'From 0 to 2.')
    .nullable()
    .describe("For OpenAI's models that take it; null: the model's own."),
  inAllPlans: z.boolean().describe('Also Community and Subscriber have it; else Premium and Lifetime.'),
});
export type AgentDefinition = z.infer<typeof AgentDefinition>;

export const AdminAgent = AgentDefinition.extend({
  slug: z.string(),
  version: z.int(),
  isChanged: z.boolean(),
  isBuiltIn: z.boolean().describe('It came with the program, and a reset brings it back; an added one goes.'),
});
export type AdminAgent = z.infer<typeof AdminAgent>;
export const AdminAgentList = z.object({ agents: z.array(AdminAgent) });
export const AgentRef = z.strictObject({ slug: AgentSlug });
/** `version`: the one that was looked at; another has been saved meanwhile: `conflict`. Without it whatever is there is reset. */
export const ResetAgent = z.strictObject({ slug: AgentSlug, version: z.int().min(0).optional() });
export type ResetAgent = z.infer<typeof ResetAgent>;
/** `version`: the one that was edited; another has been saved meanwhile: `conflict`. */
export const SaveAgent = z.strictObject({ slug: AgentSlug, version: z.int().min(0), ...AgentDefinition.shape });
export type SaveAgent = z.infer<typeof SaveAgent>;
export const NewAgent = z.strictObject({ slug: AgentSlug, ...AgentDefinition.shape });
export type NewAgent = z.infer<typeof NewAgent>;
export const OneAgent = z.object({ agent: AdminAgent });
export const AgentVersion = z.object({
  version: z.int(),
  definition: AgentDefinition.nullable().describe('null: it was reset, or removed, with this version.'),
  actor: z.string().describe("Who did it, a user's id."),
  actorName: z.string().nullable().describe('null: that account is gone.'),
  createdAt: z.iso.datetime(),
});
export type AgentVersion = z.infer<typeof AgentVersion>;
export const AgentVersions = z.object({
  delivered: AgentDefinition.nullable().describe('As it came with the program; null: it was added.'),
  versions: z.array(AgentVersion).describe('Newest first, at most 100.'),
});
export type AgentVersions = z.infer<typeof AgentVersions>;

function bytesOf(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    // A surrogate pair is four bytes in two units.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3;
  }
  return bytes;
}
