/**
 * How many tokens OpenAI makes of texts and requests. Text is counted by its own encodings; the marks around messages and tools as its
 * cookbook counts them ("How to count tokens with tiktoken"), images as its guide to vision does.
 */
import { type Size, sizeOfUrl } from './image-size.ts';
import { type Fields, fields, isObject, list, text } from './reading.ts';
import { addAll, addJson, addText, newTally, type Tally } from './tally.ts';
import { countTexts, type EncodingName } from './tokenizer.ts';

export const countTokens = (counted: string, model: string | null): Promise<number> => countTexts([counted], encodingOf(model));

/** Of a request to any route. What it does not say in itself (stored answers, files) nobody here can count. */
export async function countInput(request: Fields | null, model: string | null): Promise<number> {
  const { messages, input, prompt, instructions } = request ?? {};
  const tally = newTally();
  if (Array.isArray(messages)) addMessages(tally, messages, model);
  else if (prompt !== undefined || isWithoutMessages.test(model ?? '')) addAll(tally, prompt ?? input);
  else {
    const asked = typeof input === 'string' ? [{ role: 'user', content: input }] : list(input);
    addMessages(tally, instructions ? [{ role: 'developer', content: instructions }, ...asked] : asked, model);
  }
  addTools(tally, [...list(request?.tools), ...list(request?.functions)], isOld(model));
  for (const place of [request?.response_format, fields(request?.text).format]) addSchema(tally, place);
  return tally.tokens + (await countTexts(tally.texts, encodingOf(model)));
}

const isOld = (model: string | null): boolean => model !== null && /^(gpt-4(-|$)|gpt-3\.5|text-embedding-|davinci|babbage)/.test(model);
const encodingOf = (model: string | null): EncodingName => (isOld(model) ? 'cl100k_base' : 'o200k_base');
/** Their `input` is read as it is. */
const isWithoutMessages = /embedding|tts|image|dall-e|moderation/;

// Messages

/** Around each message, for a name, around a call of a tool, and before the reply. */
const marks = { message: 3, name: 1, call: 3, reply: 3 };

function addMessages(tally: Tally, messages: readonly unknown[], model: string | null): void {
  if (messages.length === 0) return;
  tally.tokens += marks.reply;
  for (const message of messages) addMessage(tally, fields(message), model);
}

/** A message of chat completions, or an item of a response's input. */
function addMessage(tally: Tally, message: Fields, model: string | null): void {
  tally.tokens += marks.message;
  addText(tally, message.role);
  if (message.name && message.role) tally.tokens += marks.name;
  addText(tally, message.name);
  addContent(tally, message.content ?? message.output, model);
  addText(tally, message.refusal);
  addText(tally, message.arguments);
  for (const call of [...list(message.tool_calls).map((one) => fields(one).function ?? fields(one).custom), message.function_call]) {
    if (!isObject(call)) continue;
    tally.tokens += marks.call;
    addText(tally, call.name);
    addText(tally, call.arguments ?? call.input);
  }
}

function addContent(tally: Tally, content: unknown, model: string | null): void {
  if (!Array.isArray(content)) addAll(tally, content);
  for (const part of list(content).map(fields)) {
    const image = part.image_url;
    if (image !== undefined) {
      const url = text(isObject(image) ? image.url : image);
      tally.tokens += imageTokens(model ?? '', sizeOfUrl(url), text(isObject(image) ? image.detail : part.detail));
    } else if (typeof part.text === 'string') addText(tally, part.text);
    else addText(tally, part.refusal);
  }
}

// Tools

const toolMarks = { tool: 7, oldTool: 10, properties: 3, property: 3, choices: -3, choice: 3, end: 12 };

function addTools(tally: Tally, tools: readonly unknown[], old: boolean): void {
  // Tools that OpenAI runs itself have instructions that it does not publish.
  const functions = tools.map((tool) => fields(fields(tool).function ?? tool)).filter(({ name }) => typeof name === 'string');
  if (functions.length === 0) return;
  tally.tokens += toolMarks.end;
  for (const { name, description, parameters } of functions) {
    tally.tokens += old ? toolMarks.oldTool : toolMarks.tool;
    addText(tally, `${text(name)}:${withoutDot(description)}`);
    addProperties(tally, fields(parameters), 0);
  }
}

/** The cookbook stops at the first level; deeper ones are counted alike. */
function addProperties(tally: Tally, schema: Fields, depth: number): void {
  const properties = Object.entries(fields(schema.properties));
  if (properties.length > 0) tally.tokens += toolMarks.properties;
  for (const [name, value] of properties) {
    const property = fields(value);
    tally.tokens += toolMarks.property;
    addText(tally, `${name}:${text(property.type)}:${withoutDot(property.description)}`);
    if (Array.isArray(property.enum)) tally.tokens += toolMarks.choices;
    for (const choice of list(property.enum)) {
      tally.tokens += toolMarks.choice;
      addText(tally, String(choice));
    }
    for (const inner of [property, property.items, ...list(property.anyOf)])
      if (depth < maxDepth) addProperties(tally, fields(inner), depth + 1);
  }
}

const maxDepth = 16;
const withoutDot = (description: unknown): string => text(description).replace(/\.$/, '');

/** A schema that the answer must follow is shown to the model. */
function addSchema(tally: Tally, format: unknown): void {
  const schema = fields(fields(format).json_schema).schema ?? fields(format).schema;
  if (isObject(schema)) addJson(tally, schema);
}

// Images

/** Models that see tiles of 512 pixels: so many tokens an image, and so many a tile. */
const tiled: readonly [model: RegExp, base: number, tile: number][] = [
  [/^gpt-4o-mini/, 2_833, 5_667],
  [/^gpt-5/, 70, 140],
  [/^(o1|o3)/, 75, 150],
  [/^computer-use/, 65, 129],
  [/./, 85, 170],
];
/** Models that see patches of 32 pixels, up to 1,536 of them, and bill so many tokens a patch. */
const patched: readonly [model: RegExp, factor: number][] = [
  [/^gpt-(4\.1|5)-mini/, 1.62],
  [/^gpt-(4\.1|5)-nano/, 2.46],
  [/^o4-mini/, 1.72],
];
const maxPatches = 1_536;

function imageTokens(model: string, { width, height }: Size, detail: string): number {
  const byPatch = patched.find(([pattern]) => pattern.test(model));
  if (byPatch) return Math.ceil(Math.min(maxPatches, Math.ceil(width / 32) * Math.ceil(height / 32)) * byPatch[1]);
  const [, base, tile] = tiled.find(([pattern]) => pattern.test(model)) ?? [null, 85, 170];
  if (detail === 'low') return base;
  // First into a square of 2,048, then the shorter side down to 768.
  const fitted = Math.min(1, 2_048 / Math.max(width, height));
  const scale = fitted * Math.min(1, 768 / (Math.min(width, height) * fitted));
  return base + tile * Math.ceil((width * scale) / 512) * Math.ceil((height * scale) / 512);
}
