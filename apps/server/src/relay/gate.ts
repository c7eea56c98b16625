/**
 * What may go out on the platform's key, which is one shared account at the provider: stateless requests, plain tools, capped
 * output. The body is re-serialised from what was checked, so that what the gate saw is what the provider receives.
 */
import { AppError, type ModelPrice, type ProviderId, wrongField } from '@synthstack/core';
import type { Provider, Route } from '../providers/provider.ts';
import { isObject } from '../providers/reading.ts';

export interface GateRules {
  /** Allowed model ids; null: all public models with a known price. */
  models: readonly string[] | null;
  /** What a model costs now; null: unknown. */
  price(provider: ProviderId, model: string): ModelPrice | null;
  /** Largest output in tokens. */
  maxOutput: number;
}

export type Priced = Pick<Provider, 'id' | 'privateModel'>;

export interface Gated {
  body: Buffer;
  /** The output cap, where it was lowered or added. */
  capped: number | null;
}

type Json = Record<string, unknown>;

/** @throws AppError `model_not_allowed`, `field_not_allowed`, `invalid_input` */
export function gate(provider: Priced, route: Route, json: Json, rules: GateRules): Gated {
  const model = json.model ?? route.defaultModel;
  checkModel(provider, model, rules);
  for (const [field, mistake] of Object.entries(forbidden)) {
    if (json[field] === undefined || json[field] === null || route.harmless?.includes(field)) continue;
    if (mistake(json[field])) throw notAllowed(field);
  }
  if (isObject(json.prompt) && json.prompt.id !== undefined) throw notAllowed('prompt.id');
  checkTools(json.tools);
  checkReferences(json);
  const inside = findStored(json);
  if (inside) throw notAllowed(inside);

  const body: Json = { ...json, model };
  if (route.asksForUsage && body.stream === true)
    body.stream_options = { ...(isObject(body.stream_options) ? body.stream_options : {}), include_usage: true };
  if (route.keepsAnswers) body.store = false;
  const capped = route.outputCap ? capOutput(body, route.outputCap, rules.maxOutput) : null;
  return { body: Buffer.from(JSON.stringify(body)), capped };
}

/** Whether a tier may use a model on the platform's key: one of its list, else any with a known price (which may be nothing, as for moderations). */
export function mayUse(provider: Priced, model: string, { models, price }: Pick<GateRules, 'models' | 'price'>): boolean {
  return models ? models.includes(model) : price(provider.id, model) !== null && !provider.privateModel?.test(model);
}

/** @throws AppError `model_not_allowed`, `invalid_input` */
export function checkModel(provider: Priced, model: unknown, rules: GateRules): void {
  if (typeof model !== 'string') throw wrongField('model', 'Name a model.');
  if (mayUse(provider, model, rules)) return;
  const which = whichOf(rules.models);
  const sentence = `The model "${quotable(model)}" is not available on the platform's key. ${which}`;
  throw new AppError('model_not_allowed', `${sentence} GET /v1/models lists them. With your own key you can use any.`);
}

function whichOf(models: GateRules['models']): string {
  if (models === null) return 'All models with a public price are.';
  return models.length > 0 ? `These are: ${models.join(', ')}.` : 'None is for your plan.';
}

/** A text of the caller's, fit to stand in quotation marks. */
const quotable = (text: string): string => text.slice(0, 100).replaceAll(/[^\x20-\x7e]|"/g, '?');

/** Field -> is this value forbidden? State or objects at the provider, tools that run there, or a higher price. */
const forbidden: Record<string, (value: unknown) => boolean> = {
  previous_response_id: () => true,
  conversation: () => true,
  background: (value) => value !== false,
  container: () => true,
  mcp_servers: () => true,
  web_search_options: () => true,
  n: (value) => value !== 1,
  best_of: (value) => value !== 1,
  // Several prompts are several answers, each with the whole output cap; a list of numbers is one prompt.
  prompt: (value) => Array.isArray(value) && value.length > 1 && typeof value[0] !== 'number',
  service_tier: (value) => value !== 'auto' && value !== 'default' && value !== 'standard_only',
  speed: () => true,
  inference_geo: () => true,
  thread: () => true,
  // Another model may answer then, which nobody has looked up in the tier's list.
  fallbacks: () => true,
  // The id of a former answer, whose prompt is compared with this one.
  diagnostics: (value) => isObject(value) && value.previous_message_id !== undefined && value.previous_message_id !== null,
};

function checkTools(tools: unknown): void {
  if (tools === undefined || tools === null) return;
  if (!Array.isArray(tools)) throw wrongField('tools', 'Send a list.');
  const at = tools.findIndex((tool) => !isPlainTool(tool));
  if (at >= 0) throw notAllowed(`tools.${at}.type`);
}

/** A tool that the caller runs. Anthropic's own kind has no type or `custom`, OpenAI's `function` or `custom`; all else runs at the provider. */
function isPlainTool(tool: unknown): boolean {
  return isObject(tool) && (tool.type === undefined || tool.type === 'function' || tool.type === 'custom');
}

/** References that bear no name: an input item that is only an id, whose `type` may be left out, and the sound of a former answer. */
function checkReferences({ input, messages }: Json): void {
  if (Array.isArray(input)) {
    input.forEach((item, i) => {
      if (isObject(item) && item.id !== undefined && (item.type ?? item.role ?? null) === null) throw notAllowed(`input.${i}.id`);
    });
  }
  if (Array.isArray(messages)) {
    messages.forEach((message, i) => {
      if (isObject(message) && isObject(message.audio) && message.audio.id !== undefined) throw notAllowed(`messages.${i}.audio.id`);
    });
  }
}

/** Deeper than any request has a reason to be; a walk that recursed without a bound could be made to end the process. */
const maxDepth = 100;

function checkDepth(value: unknown, depth: number): void {
  if (depth > maxDepth) throw wrongField('body', `It is nested deeper than ${maxDepth} levels.`);
  if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) checkDepth(item, depth + 1);
}

/**
 * The path of the first reference to something stored at the provider (a `file_id`, an item of a former response), or of a tool that
 * runs there and is not declared in `tools` but in the middle of the conversation. Content may nest both.
 */
function findStored(value: unknown, path = '', depth = 0): string | null {
  if (depth > maxDepth) throw wrongField('body', `It is nested deeper than ${maxDepth} levels.`);
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) {
      const found = findStored(item, `${path}${i}.`, depth + 1);
      if (found) return found;
    }
  } else if (isObject(value)) {
    if (value.type === 'item_reference') return `${path}type`;
    const tool = findTool(value, path);
    if (tool) return tool;
    for (const [name, item] of Object.entries(value)) {
      // A schema may describe a field of that name: there it stands before an object, never before an id.
      if (name === 'file_id' && item !== null && !isObject(item)) return `${path}file_id`;
      // What a model gave to a caller's own tool is the caller's matter.
      if (name === 'input' && value.type === 'tool_use' && depth > 0) {
        checkDepth(item, depth + 1);
        continue;
      }
      const found = findStored(item, `${path}${name}.`, depth + 1);
      if (found) return found;
    }
  }
  return null;
}

/** OpenAI's items `additional_tools` and `tool_search_output` hold a list of tools, Anthropic's `tool_definition` one. */
function findTool(value: Json, path: string): string | null {
  if (value.type === 'tool_definition') return isPlainTool(value.definition) ? null : `${path}definition.type`;
  if (!Array.isArray(value.tools) || (value.type !== 'additional_tools' && value.type !== 'tool_search_output')) return null;
  const at = value.tools.findIndex((tool) => !isPlainTool(tool));
  return at < 0 ? null : `${path}tools.${at}.type`;
}

function capOutput(body: Json, fields: readonly string[], maxOutput: number): number | null {
  const thinking = isObject(body.thinking) ? body.thinking.budget_tokens : undefined;
  if (typeof thinking === 'number' && thinking >= maxOutput)
    throw wrongField('thinking.budget_tokens', `At most ${maxOutput - 1} on the platform's key.`);
  const given = fields.filter((field) => body[field] !== undefined && body[field] !== null);
  for (const field of given) if (typeof body[field] !== 'number') throw wrongField(field, 'Send a number.');
  const dear = given.filter((field) => Number(body[field]) > maxOutput);
  for (const field of dear) body[field] = maxOutput;
  const [first] = fields;
  if (given.length === 0 && first) body[first] = maxOutput;
  return dear.length > 0 || given.length === 0 ? maxOutput : null;
}

export function notAllowed(field: string): AppError {
  return new AppError(
    'field_not_allowed',
    `${field}: this is not possible on the platform's key, which all users share. Leave it out, or use your own key.`,
    { errors: { [field]: ["Not possible on the platform's key: leave it out, or use your own key."] } },
  );
}
