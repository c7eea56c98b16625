/**
 * How many tokens Anthropic makes of texts and requests, as well as anybody outside can say: it publishes no tokenizer. Texts are counted
 * by OpenAI's o200k and multiplied: measured against gpt-4o, Claude made 1.16 times as many tokens of English, 1.21 of mathematics and 1.30
 * of code; and Anthropic's guide to counting says that its newer models make 1.3 times as many as the ones before.
 */
import { type Size, sizeOfBase64, usualSize } from './image-size.ts';
import { type Fields, fields, isObject, list, text } from './reading.ts';
import { addAll, addJson, addText, newTally, type Tally } from './tally.ts';
import { countTexts } from './tokenizer.ts';

const perO200k = 1.2;
const perOlder = 1.3;
const newerModel = /^claude-(opus-(4-[7-9]|4-\d\d(?!\d)|[5-9])|(sonnet|haiku)-[5-9]|fable|mythos)/;

export const countTokens = async (counted: string, model: string | null): Promise<number> =>
  Math.round((await countTexts([counted], 'o200k_base')) * factorOf(model));

const factorOf = (model: string | null): number => (model !== null && newerModel.test(model) ? perO200k * perOlder : perO200k);

/** Around a message, and around all; tools bring a system prompt of Anthropic's own, whose length its guide to tools names. */
const marks = { message: 4, all: 3, tools: 346 };

/** Of a request for messages. What it names but does not hold (files, pages) nobody here can count. */
export async function countInput(request: Fields | null, model: string | null): Promise<number> {
  const tally = newTally();
  addContent(tally, request?.system);
  for (const { content } of list(request?.messages).map(fields)) {
    tally.tokens += marks.message;
    addContent(tally, content);
  }
  const tools = list(request?.tools);
  for (const tool of tools) addJson(tally, tool);
  const known = tally.tokens + marks.all + (tools.length > 0 ? marks.tools : 0);
  return known + Math.round((await countTexts(tally.texts, 'o200k_base')) * factorOf(model));
}

function addContent(tally: Tally, content: unknown, depth = 0): void {
  if (!Array.isArray(content)) addAll(tally, content);
  for (const block of list(content).map(fields)) {
    if (block.type === 'image') tally.tokens += imageTokens(sizeOf(fields(block.source)));
    else if (typeof block.text === 'string') addText(tally, block.text);
    else if (isObject(block.input)) addJson(tally, { [text(block.name)]: block.input });
    else if (block.type === 'document') addAll(tally, fields(block.source).data);
    else if (depth < maxDepth) addContent(tally, block.content, depth + 1);
  }
}

/** A tool's result holds blocks of its own, and these nothing more. */
const maxDepth = 3;

const sizeOf = ({ data }: Fields): Size => (typeof data === 'string' ? sizeOfBase64(data) : usualSize);

/** Larger images are scaled down to about so many. */
const maxImageTokens = 1_600;
const imageTokens = ({ width, height }: Size): number => Math.min(maxImageTokens, Math.ceil((width * height) / 750));
