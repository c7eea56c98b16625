/** OpenAI's API as it answers: which routes there are, what they refuse, and the error shapes. The answers' bodies: openai-answers.ts. */

import { decode, fail, type Json, ok, parse, type Stored } from './json.ts';
import { openaiModels, openaiSnapshot } from './models.ts';
import { chat, completion, createResponse, embeddings, images, moderations, speech, transcription } from './openai-answers.ts';
import type { Call, Plan } from './script.ts';

interface Route {
  required: readonly string[];
  known: ReadonlySet<string>;
  answer(call: Call, json: Json, model: string, stored: Stored): Plan;
  /** OpenAI's newer routes word unknown parameters differently. */
  newer?: true;
}

const names = (list: string) => new Set(list.split(' '));
const sampling =
  'frequency_penalty presence_penalty logit_bias logprobs max_tokens n seed stop stream stream_options temperature top_p user';

const routes: Record<string, Route> = {
  '/v1/chat/completions': {
    required: ['messages'],
    known: names(
      `model messages audio function_call functions max_completion_tokens metadata modalities moderation parallel_tool_calls prediction prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier service_tier store tool_choice tools top_logprobs verbosity web_search_options ${sampling}`,
    ),
    answer: chat,
  },
  '/v1/completions': { required: [], known: names(`model prompt best_of echo suffix ${sampling}`), answer: completion },
  '/v1/responses': {
    required: [],
    known: names(
      'access_programs background context_management conversation image include input instructions max_output_tokens max_tool_calls metadata model moderation parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options temperature text tool_choice tools top_logprobs top_p truncation user',
    ),
    answer: createResponse,
    newer: true,
  },
  '/v1/embeddings': { required: ['input'], known: names('input model dimensions encoding_format user'), answer: embeddings },
  '/v1/moderations': { required: ['input'], known: names('input model'), answer: moderations },
  '/v1/images/generations': {
    required: ['prompt'],
    known: names(
      'prompt background complexity frame_count frame_duration_ms model moderation n output_compression output_format partial_images quality response_format safety_identifier size stream style svg user',
    ),
    answer: images,
    newer: true,
  },
  '/v1/audio/speech': {
    required: ['input', 'voice'],
    known: names('input model voice instructions response_format speed stream_format'),
    answer: speech,
  },
};
const defaultModels: Record<string, string> = { '/v1/moderations': 'omni-moderation-latest', '/v1/images/generations': 'gpt-image-1' };

export function openai(call: Call, stored: Stored): Plan | Promise<Plan> {
  const { method, path } = call;
  const route = routes[path];
  if (route || path === '/v1/audio/transcriptions') {
    if (method !== 'POST') return { ...fail(405, 'Only POST requests are accepted.', 'method_not_supported'), headers: { allow: 'POST' } };
    return route ? inference(call, route, stored) : transcription(call);
  }
  if (method === 'GET' && path === '/v1/models') {
    return ok({ object: 'list', data: [...openaiModels.values()].filter(({ id }) => !call.how.lacks?.includes(id)) });
  }
  const [, version, noun, rawId, verb] = path.split('/');
  if (version === 'v1' && rawId) {
    const id = decode(rawId);
    if (noun === 'models' && method === 'GET' && verb === undefined) return oneModel(call, id);
    if (noun === 'responses') {
      const plan = storedResponse(call, id, verb, stored);
      if (plan) return plan;
    }
  }
  return fail(404, `Invalid URL (${method} ${path})`);
}

function oneModel(call: Call, id: string): Plan {
  const model = openaiModels.get(id);
  if (!model || call.how.lacks?.includes(id)) return fail(404, `The model '${id}' does not exist`, 'model_not_found', 'model');
  return ok(model);
}

function inference(call: Call, route: Route, stored: Stored): Plan {
  const json = parse(call.body);
  if (!json) {
    return fail(
      400,
      "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble figuring out how to fix this, please contact us through our help center at help.openai.com.)",
    );
  }
  for (const name in json) {
    if (route.known.has(name)) continue;
    const text = route.newer ? `Unknown parameter: '${name}'.` : `Unrecognized request argument supplied: ${name}`;
    return fail(400, text, 'unknown_parameter', name);
  }
  const model = json.model ?? defaultModels[call.path];
  if (typeof model !== 'string' || model === '') {
    if (route.newer) return fail(400, "Missing required parameter: 'model'.", 'missing_required_parameter', 'model');
    return fail(400, 'you must provide a model parameter');
  }
  for (const name of route.required) {
    if (json[name] === undefined) return fail(400, `Missing required parameter: '${name}'.`, 'missing_required_parameter', name);
  }
  if (openaiSnapshot(model) === undefined || call.how.lacks?.includes(model)) {
    return fail(404, `The model \`${model}\` does not exist or you do not have access to it.`, 'model_not_found');
  }
  return refusal(json, model) ?? route.answer(call, json, model, stored);
}

/** Combinations that OpenAI refuses. */
function refusal(json: Json, model: string): Plan | undefined {
  if (json.stream_options != null && json.stream !== true) {
    return fail(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", null, 'stream_options');
  }
  if (json.messages !== undefined && !Array.isArray(json.messages)) {
    return fail(
      400,
      "Invalid type for 'messages': expected an array of objects, but got something else instead.",
      'invalid_type',
      'messages',
    );
  }
  if (Array.isArray(json.messages) && json.messages.length === 0) {
    return fail(
      400,
      "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
      'empty_array',
      'messages',
    );
  }
  if (json.max_tokens != null && json.max_completion_tokens != null) {
    return fail(
      400,
      "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
      'invalid_parameter_combination',
      'max_tokens',
    );
  }
  if (/^(o\d|gpt-5)/.test(model)) {
    if (json.max_tokens != null) {
      const text = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
      return fail(400, text, 'unsupported_parameter', 'max_tokens');
    }
    if (typeof json.temperature === 'number' && json.temperature !== 1 && json.messages !== undefined) {
      const text = `Unsupported value: 'temperature' does not support ${json.temperature} with this model. Only the default (1) value is supported.`;
      return fail(400, text, 'unsupported_value', 'temperature');
    }
  }
  return undefined;
}

/** `GET`, `DELETE /v1/responses/{id}`, `POST .../cancel`, `GET .../input_items`. */
function storedResponse(call: Call, id: string, verb: string | undefined, stored: Stored): Plan | undefined {
  const act = `${call.method} ${verb ?? ''}`;
  if (!['GET ', 'DELETE ', 'POST cancel', 'GET input_items'].includes(act)) return undefined;
  const shelf = stored.get(call.key ?? '');
  const entry = shelf?.get(id);
  if (!entry) return fail(404, `Response with id '${id}' not found.`, null, 'id');
  const { response, input } = entry;
  if (act === 'DELETE ') {
    shelf?.delete(id);
    return ok({ id, object: 'response', deleted: true });
  }
  if (act === 'POST cancel') {
    if (response.background !== true) return fail(400, 'Cannot cancel a synchronous response.');
    if (response.status === 'queued') response.status = 'cancelled';
    return ok(response);
  }
  if (act === 'GET input_items') {
    const item = (content: unknown, i: number) => ({
      id: `msg_${id.slice(5)}${i}`,
      type: 'message',
      status: 'completed',
      role: 'user',
      content,
    });
    const data = typeof input === 'string' ? [item([{ type: 'input_text', text: input }], 0)] : Array.isArray(input) ? input : [];
    const idOf = (entry: unknown) => (entry as Json | undefined)?.id ?? null;
    return ok({ object: 'list', data, first_id: idOf(data[0]), last_id: idOf(data.at(-1)), has_more: false });
  }
  if (response.status === 'queued') response.status = 'completed';
  return ok(response);
}
