/**
 * What may go out on the platform's key, which is one shared account at the provider: stateless requests, plain tools, capped
 * output. The body is re-serialised from what was checked, so that what the gate saw is what the provider receives.
 */
import { AppError } from '@synthstack/core';
import type { Provider, Route } from '../providers/provider.ts';

export interface GateRules {
  /** Allowed model ids; null: all models with a known price. */
  models: readonly string[] | null;
  /** Largest output in tokens. */
  maxOutput: number;
}

export interface Gated {
  body: Buffer;
  /** The output cap, where it was lowered or added. */
  capped: number | null;
}

type Json = Record<string, unknown>;

/** @throws AppError `model_not_allowed`, `field_not_allowed`, `invalid_input` */
export function gate(provider: Provider, route: Route, json: Json, rules: GateRules): Gated {
  checkModel(provider, json.model, rules);
  for (const [field, mistake] of Object.entries(forbidden)) {
    if (json[field] !== undefined && json[field] !== null && mistake(json[field])) throw notAllowed(field);
  }
  if (isObject(json.prompt) && json.prompt.id !== undefined) throw notAllowed('prompt.id');
  checkTools(json.tools);
  const inside = findFileId(json, '');
  if (inside) throw notAllowed(inside);

  const body: Json = { ...json };
  if (route.asksForUsage && body.stream === true)
    body.stream_options = { ...(isObject(body.stream_options) ? body.stream_options : {}), include_usage: true };
  if (route.keepsAnswers) body.store = false;
  const capped = route.outputCap ? capOutput(body, route.outputCap, rules.maxOutput) : null;
  return { body: Buffer.from(JSON.stringify(body)), capped };
}

function checkModel(provider: Provider, model: unknown, rules: GateRules): void {
  if (typeof model !== 'string') throw new AppError('invalid_input', 'model: name a model.', { errors: { model: ['Name a model.'] } });
  const allowed = rules.models ? rules.models.includes(model) : provider.price(model) !== null;
  if (allowed) return;
  const which = rules.models ? `These are: ${rules.models.join(', ')}.` : 'All models with a public price are.';
  throw new AppError('model_not_allowed', `The model is not available on the platform's key. ${which} With your own key you can use any.`);
}

/** Field -> is this value forbidden? State at the provider, or a higher price. */
const forbidden: Record<string, (value: unknown) => boolean> = {
  previous_response_id: () => true,
  conversation: () => true,
  background: (value) => value !== false,
  container: () => true,
  mcp_servers: () => true,
  file_id: () => true,
  n: (value) => value !== 1,
  best_of: (value) => value !== 1,
  service_tier: (value) => value !== 'auto' && value !== 'default' && value !== 'standard_only',
  speed: () => true,
  inference_geo: () => true,
};

/** Only tools that the caller runs. Anthropic's own kind has no type or `custom`, OpenAI's `function` or `custom`; all else runs at the provider. */
function checkTools(tools: unknown): void {
  if (!Array.isArray(tools)) return;
  tools.forEach((tool, i) => {
    const type = isObject(tool) ? tool.type : null;
    if (type !== undefined && type !== 'function' && type !== 'custom') throw notAllowed(`tools.${i}.type`);
  });
}

/** The path of the first `file_id` anywhere; content may nest it. */
function findFileId(value: unknown, path: string): string | null {
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) {
      const found = findFileId(item, `${path}${i}.`);
      if (found) return found;
    }
  } else if (isObject(value)) {
    for (const [name, item] of Object.entries(value)) {
      // A tool's schema may well describe a field of that name.
      if (name === 'input_schema' || name === 'parameters') continue;
      if (name === 'file_id' && item !== null) return `${path}file_id`;
      const found = findFileId(item, `${path}${name}.`);
      if (found) return found;
    }
  }
  return null;
}

function capOutput(body: Json, fields: readonly string[], maxOutput: number): number | null {
  const thinking = isObject(body.thinking) ? body.thinking.budget_tokens : undefined;
  if (typeof thinking === 'number' && thinking >= maxOutput) {
    throw new AppError('invalid_input', `thinking.budget_tokens: at most ${maxOutput - 1} on the platform's key.`, {
      errors: { 'thinking.budget_tokens': [`At most ${maxOutput - 1} on the platform's key.`] },
    });
  }
  const given = fields.filter((field) => body[field] !== undefined && body[field] !== null);
  const dear = given.filter((field) => typeof body[field] === 'number' && (body[field] as number) > maxOutput);
  for (const field of dear) body[field] = maxOutput;
  const [first] = fields;
  if (given.length === 0 && first) body[first] = maxOutput;
  return dear.length > 0 || given.length === 0 ? maxOutput : null;
}

function notAllowed(field: string): AppError {
  return new AppError(
    'field_not_allowed',
    `${field}: this is not possible on the platform's key, which all users share. Leave it out, or use your own key.`,
    {
      errors: { [field]: ["Not possible on the platform's key: leave it out, or use your own key."] },
    },
  );
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
