/**
 * What a request brings along that its bytes do not measure: what its provider fetches, remembers or unfolds. A page of a PDF is thousands of
 * tokens and, left blank, hardly a byte; an image of one colour is no larger. Read from the parsed JSON, since a name can be written in many ways.
 */
import { type Fields, isObject, list } from '../providers/reading.ts';

export interface BeyondBytes {
  /** Nobody here can say how much it is: up to all that the model takes. */
  isBoundless: boolean;
  /** Images within the request, of whatever size. */
  images: number;
}

/** Their values are texts of the caller's own, and what is within them is shown to the model as it is. */
const ownWords = new Set(['metadata', 'input_schema', 'parameters', 'schema']);
const ownCalls = new Set(['tool_use', 'server_tool_use', 'mcp_tool_use']);
/** They name what stands in the same request, or who asks. */
const harmlessIds = new Set(['call_id', 'tool_call_id', 'tool_use_id', 'user_id']);
const elsewhere = new Set(['url', 'file_data', 'conversation', 'container', 'mcp_servers']);
/** Items of a response's input that stand there in full, although they have an id. */
const wholeItems = new Set(['message', 'function_call', 'function_call_output', 'custom_tool_call', 'custom_tool_call_output']);
/** Tools that the caller runs; what one of the provider's own finds, the model reads. */
const ownTools = new Set<unknown>([undefined, 'function', 'custom']);

export function beyondBytes(json: Fields | null): BeyondBytes {
  const found: BeyondBytes = { isBoundless: isKeptElsewhere(json), images: 0 };
  // A list of its own, since JSON may be nested deeper than calls may be.
  const open: unknown[] = [json];
  while (open.length > 0 && !found.isBoundless) {
    const value = open.pop();
    if (Array.isArray(value)) for (const one of value) open.push(one);
    else if (isObject(value)) lookInto(value, open, found);
  }
  return found;
}

function lookInto(value: Fields, open: unknown[], found: BeyondBytes): void {
  const { type, source } = value;
  if (type === 'image' && isObject(source)) found.images += 1;
  if ((type === 'document' && isObject(source) && source.type === 'base64') || type === 'item_reference') found.isBoundless = true;
  for (const [name, one] of Object.entries(value)) {
    if (one === null || ownWords.has(name) || (name === 'input' && ownCalls.has(String(type)))) continue;
    const isId = name.endsWith('_id') && !harmlessIds.has(name);
    const isAnswerOfBefore = name === 'audio' && isObject(one) && one.id !== undefined;
    if (isId || isAnswerOfBefore || name.endsWith('_url') || elsewhere.has(name)) found.isBoundless = true;
    if (typeof one === 'object') open.push(one);
  }
}

function isKeptElsewhere(json: Fields | null): boolean {
  if (isObject(json?.prompt)) return true;
  if (list(json?.tools).some((tool) => isObject(tool) && !ownTools.has(tool.type))) return true;
  return list(json?.input).some((item) => isObject(item) && typeof item.id === 'string' && !isWhole(item));
}

function isWhole({ type, content, encrypted_content: sealed }: Fields): boolean {
  if (type === undefined || type === null) return content !== undefined;
  return wholeItems.has(String(type)) || (type === 'reasoning' && typeof sealed === 'string');
}
