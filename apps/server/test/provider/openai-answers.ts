/** The bodies of OpenAI's good answers, plain and streamed, with usage that agrees with the text. */
import { fail, type Json, ok, type Stored } from './json.ts';
import { openaiSnapshot } from './models.ts';
import type { Call, Plan, Truth } from './script.ts';
import { countInput, settleTruth, write } from './text.ts';

const eventStream = 'text/event-stream; charset=utf-8';
const fingerprint = 'fp_50cad350e4';

function limitOf(...candidates: unknown[]): number | undefined {
  return candidates.find((value): value is number => typeof value === 'number');
}

/** OpenAI pads its chunks so that their length tells nothing; the sizes differ, the field is always there. */
function padding(text: string): string {
  return 'x9Kq2LmVw7RtYb'.slice(0, 3 + ((text.length * 7) % 11));
}

function completionUsage(truth: Truth): Json {
  return {
    prompt_tokens: truth.inputTokens,
    completion_tokens: truth.outputTokens,
    total_tokens: truth.totalTokens,
    prompt_tokens_details: { cached_tokens: truth.cachedInputTokens, audio_tokens: 0, ...written(truth) },
    completion_tokens_details: {
      reasoning_tokens: truth.reasoningTokens,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

function written(truth: Truth): Json {
  return truth.cacheWriteTokens > 0 ? { cache_write_tokens: truth.cacheWriteTokens } : {};
}

export function chat(call: Call, json: Json, model: string): Plan {
  const n = typeof json.n === 'number' ? json.n : 1;
  const out = write(call.how, call.defaultText, limitOf(json.max_completion_tokens, json.max_tokens));
  const truth = settleTruth(call.how, { inputTokens: countInput(json.messages, json.tools) + 3, outputTokens: out.tokens * n });
  call.truth(truth);
  const finish = out.cut ? 'length' : 'stop';
  const id = call.id('chatcmpl-');
  const object = json.stream === true ? 'chat.completion.chunk' : 'chat.completion';
  const name = openaiSnapshot(model);
  const base = { id, object, created: call.created, model: name, service_tier: 'default', system_fingerprint: fingerprint };
  const usage = completionUsage(truth);
  if (json.stream !== true) {
    const message = { role: 'assistant', content: out.text, refusal: null, annotations: [] };
    const choices = indices(n).map((index) => ({ index, message, logprobs: null, finish_reason: finish }));
    const { service_tier, system_fingerprint, ...head } = base;
    return ok({ ...head, choices, usage, service_tier, system_fingerprint });
  }
  const options = (json.stream_options ?? {}) as Json;
  const head = JSON.stringify(base).slice(0, -1);
  const tail = options.include_usage === true ? ',"usage":null' : '';
  const chunk = (choices: unknown[], text = '') => {
    const pad = options.include_obfuscation === false ? '' : `,"obfuscation":"${padding(text)}"`;
    return `data: ${head},"choices":${JSON.stringify(choices)}${tail}${pad}}\n\n`;
  };
  const delta = (index: number, content: string) => chunk([{ index, delta: { content }, logprobs: null, finish_reason: null }], content);
  const events = indices(n).map((index) =>
    chunk([{ index, delta: { role: 'assistant', content: '', refusal: null }, logprobs: null, finish_reason: null }]),
  );
  for (const piece of out.pieces) for (const index of indices(n)) events.push(delta(index, piece));
  for (const index of indices(n)) events.push(chunk([{ index, delta: {}, logprobs: null, finish_reason: finish }]));
  if (tail) events.push(`data: ${head},"choices":[],"usage":${JSON.stringify(usage)}}\n\n`);
  events.push('data: [DONE]\n\n');
  return { status: 200, contentType: eventStream, events, filler: (text) => delta(0, text), fillAt: n };
}

export function completion(call: Call, json: Json, model: string): Plan {
  const out = write(call.how, call.defaultText, limitOf(json.max_tokens) ?? 16);
  const truth = settleTruth(call.how, { inputTokens: countInput(json.prompt), outputTokens: out.tokens });
  call.truth(truth);
  const base = { id: call.id('cmpl-'), object: 'text_completion', created: call.created, model: openaiSnapshot(model) };
  const choice = (text: string, finish_reason: string | null) => ({ text, index: 0, logprobs: null, finish_reason });
  const finish = out.cut ? 'length' : 'stop';
  const { prompt_tokens_details, completion_tokens_details, ...counts } = completionUsage(truth);
  const usage = call.how.usage ? { ...counts, prompt_tokens_details, completion_tokens_details } : counts;
  if (json.stream !== true) return ok({ ...base, choices: [choice(out.text, finish)], usage });
  const include = (json.stream_options as Json | undefined)?.include_usage === true;
  const chunk = (text: string, reason: string | null) =>
    `data: ${JSON.stringify({ ...base, choices: [choice(text, reason)], ...(include ? { usage: null } : {}) })}\n\n`;
  const events = [...out.pieces.map((piece) => chunk(piece, null)), chunk('', finish)];
  if (include) events.push(`data: ${JSON.stringify({ ...base, choices: [], usage })}\n\n`);
  events.push('data: [DONE]\n\n');
  return { status: 200, contentType: eventStream, events, filler: (text) => chunk(text, null), fillAt: 0 };
}

export function createResponse(call: Call, json: Json, model: string, stored: Stored): Plan {
  const shelf = stored.get(call.key ?? '') ?? new Map<string, { response: Json; input: unknown }>();
  const previous = json.previous_response_id;
  if (typeof previous === 'string' && !shelf.has(previous)) {
    return fail(400, `Previous response with id '${previous}' not found.`, 'previous_response_not_found', 'previous_response_id');
  }
  const out = write(call.how, call.defaultText, limitOf(json.max_output_tokens));
  const truth = settleTruth(call.how, { inputTokens: countInput(json.input, json.instructions, json.tools) + 3, outputTokens: out.tokens });
  const final = responseObject(call, json, model, out.cut, truth);
  const item = { id: call.id('msg_'), type: 'message', status: out.cut ? 'incomplete' : 'completed', role: 'assistant' };
  const part = { type: 'output_text', annotations: [], logprobs: [], text: out.text };
  const queued = json.background === true;
  call.truth(truth);
  final.output = [{ ...item, content: [part] }];
  if (json.store !== false) {
    stored.set(call.key ?? '', shelf);
    shelf.set(final.id as string, { response: { ...final, status: queued ? 'queued' : final.status }, input: json.input });
  }
  if (queued && json.stream !== true) return ok({ ...final, status: 'queued', output: [], usage: null });
  if (json.stream !== true) return ok(final);

  const events: string[] = [];
  const event = (type: string, body: Json, number = events.length) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: number, ...body })}\n\n`;
  const send = (type: string, body: Json) => events.push(event(type, body));
  const place = { item_id: item.id, output_index: 0, content_index: 0 };
  const delta = (text: string) => ({ ...place, delta: text, logprobs: [], obfuscation: padding(text) });
  const begun = { ...final, status: 'in_progress', output: [], usage: null, incomplete_details: null };
  send('response.created', { response: begun });
  send('response.in_progress', { response: begun });
  send('response.output_item.added', { output_index: 0, item: { ...item, status: 'in_progress', content: [] } });
  send('response.content_part.added', { ...place, part: { ...part, text: '' } });
  const fillAt = events.length;
  for (const piece of out.pieces) send('response.output_text.delta', delta(piece));
  send('response.output_text.done', { ...place, text: out.text, logprobs: [] });
  send('response.content_part.done', { ...place, part });
  send('response.output_item.done', { output_index: 0, item: { ...item, content: [part] } });
  send(out.cut ? 'response.incomplete' : 'response.completed', { response: final });
  const filler = (text: string) => event('response.output_text.delta', delta(text), fillAt);
  return { status: 200, contentType: eventStream, events, filler, fillAt };
}

function responseObject(call: Call, json: Json, model: string, cut: boolean, truth: Truth): Json {
  return {
    id: call.id('resp_'),
    object: 'response',
    created_at: call.created,
    status: cut ? 'incomplete' : 'completed',
    background: json.background === true,
    error: null,
    incomplete_details: cut ? { reason: 'max_output_tokens' } : null,
    instructions: json.instructions ?? null,
    max_output_tokens: json.max_output_tokens ?? null,
    model: openaiSnapshot(model),
    output: [],
    parallel_tool_calls: json.parallel_tool_calls ?? true,
    previous_response_id: json.previous_response_id ?? null,
    reasoning: json.reasoning ?? { effort: null, summary: null },
    service_tier: 'default',
    store: json.store !== false,
    temperature: json.temperature ?? 1,
    text: json.text ?? { format: { type: 'text' }, verbosity: 'medium' },
    tool_choice: json.tool_choice ?? 'auto',
    tools: json.tools ?? [],
    top_p: json.top_p ?? 1,
    truncation: json.truncation ?? 'disabled',
    usage: {
      input_tokens: truth.inputTokens,
      input_tokens_details: { cached_tokens: truth.cachedInputTokens, ...written(truth) },
      output_tokens: truth.outputTokens,
      output_tokens_details: { reasoning_tokens: truth.reasoningTokens },
      total_tokens: truth.totalTokens,
    },
    user: null,
    metadata: json.metadata ?? {},
  };
}

export function embeddings(call: Call, json: Json, model: string): Plan {
  const { input } = json;
  const list = Array.isArray(input) && typeof input[0] !== 'number' ? input : [input];
  const truth = settleTruth(call.how, {
    inputTokens: Array.isArray(input) && list.length === 1 ? input.length : countInput(input),
    outputTokens: 0,
  });
  call.truth(truth);
  const size = typeof json.dimensions === 'number' ? json.dimensions : model === 'text-embedding-3-large' ? 3072 : 1536;
  const data = list.map((_, index) => {
    const vector = Float32Array.from({ length: size }, (_, i) => (i % 7 === index % 7 ? 1 : -1) / Math.sqrt(size));
    const base64 = json.encoding_format === 'base64';
    return { object: 'embedding', index, embedding: base64 ? Buffer.from(vector.buffer).toString('base64') : [...vector] };
  });
  return ok({ object: 'list', data, model, usage: { prompt_tokens: truth.inputTokens, total_tokens: truth.totalTokens } });
}

const categories = (
  'harassment harassment/threatening hate hate/threatening illicit illicit/violent self-harm self-harm/intent self-harm/instructions ' +
  'sexual sexual/minors violence violence/graphic'
).split(' ');

export function moderations(call: Call, json: Json, model: string): Plan {
  const list = Array.isArray(json.input) ? json.input : [json.input];
  const each = (value: unknown) => Object.fromEntries(categories.map((name) => [name, value]));
  const result = { flagged: false, categories: each(false), category_scores: each(0.000001), category_applied_input_types: each(['text']) };
  return ok({ id: call.id('modr-'), model, results: list.map(() => result) });
}

const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

export function images(call: Call, json: Json, model: string): Plan {
  const n = typeof json.n === 'number' ? json.n : 1;
  if (model.startsWith('dall-e')) {
    const one =
      json.response_format === 'b64_json' ? { b64_json: pixel } : { url: 'https://oaidalleapiprodscus.blob.core.windows.net/img.png' };
    return ok({ created: call.created, data: indices(n).map(() => ({ revised_prompt: String(json.prompt), ...one })) });
  }
  const truth = settleTruth(call.how, { inputTokens: countInput(json.prompt), outputTokens: 272 * n });
  call.truth(truth);
  const usage = {
    input_tokens: truth.inputTokens,
    input_tokens_details: { text_tokens: truth.inputTokens, image_tokens: 0 },
    output_tokens: truth.outputTokens,
    output_tokens_details: { text_tokens: 0, image_tokens: truth.outputTokens },
    total_tokens: truth.totalTokens,
  };
  const look = { background: 'opaque', output_format: 'png', quality: 'low', size: '1024x1024' };
  if (json.stream === true) {
    const body = { type: 'image_generation.completed', b64_json: pixel, created_at: call.created, ...look, usage };
    return { status: 200, contentType: eventStream, events: [`event: image_generation.completed\ndata: ${JSON.stringify(body)}\n\n`] };
  }
  return ok({ created: call.created, ...look, data: indices(n).map(() => ({ b64_json: pixel })), usage });
}

const audioTypes: Record<string, string> = { opus: 'audio/opus', aac: 'audio/aac', flac: 'audio/flac', wav: 'audio/wav', pcm: 'audio/pcm' };

export function speech(call: Call, json: Json): Plan {
  const truth = settleTruth(call.how, { inputTokens: countInput(json.input), outputTokens: 24 });
  call.truth(truth);
  const sound = Buffer.alloc(4096, Buffer.from([0xff, 0xfb, 0x90, 0x64, 0x00, 0x0f, 0xf0]));
  if (json.stream_format === 'sse') {
    const usage = { input_tokens: truth.inputTokens, output_tokens: truth.outputTokens, total_tokens: truth.totalTokens };
    const bodies = [
      { type: 'speech.audio.delta', audio: sound.toString('base64') },
      { type: 'speech.audio.done', usage },
    ];
    return { status: 200, contentType: eventStream, events: bodies.map((body) => `data: ${JSON.stringify(body)}\n\n`) };
  }
  return { status: 200, contentType: audioTypes[String(json.response_format)] ?? 'audio/mpeg', body: sound };
}

export async function transcription(call: Call): Promise<Plan> {
  const type = call.headers['content-type'] ?? '';
  const form = await new Response(new Uint8Array(call.body), { headers: { 'content-type': type } }).formData().catch(() => undefined);
  if (!form) return fail(400, 'Could not parse multipart form');
  const [file, model] = [form.get('file'), form.get('model')];
  if (typeof model !== 'string') return fail(400, 'you must provide a model parameter');
  if (!(file instanceof Blob)) return fail(400, "Missing required parameter: 'file'.", 'missing_required_parameter', 'file');
  if (openaiSnapshot(model) === undefined)
    return fail(404, `The model \`${model}\` does not exist or you do not have access to it.`, 'model_not_found');
  const out = write(call.how, call.defaultText, undefined);
  if (form.get('response_format') === 'text')
    return { status: 200, contentType: 'text/plain; charset=utf-8', body: Buffer.from(`${out.text}\n`) };
  const seconds = Math.max(1, Math.ceil(file.size / 16_000));
  if (model === 'whisper-1') return ok({ text: out.text, usage: { type: 'duration', seconds } });
  const truth = settleTruth(call.how, { inputTokens: seconds * 10, outputTokens: out.tokens });
  call.truth(truth);
  const usage = {
    type: 'tokens',
    input_tokens: truth.inputTokens,
    input_token_details: { text_tokens: 0, audio_tokens: truth.inputTokens },
    output_tokens: truth.outputTokens,
    total_tokens: truth.totalTokens,
  };
  if (form.get('stream') !== 'true') return ok({ text: out.text, usage });
  const bodies = [
    ...out.pieces.map((delta) => ({ type: 'transcript.text.delta', delta })),
    { type: 'transcript.text.done', text: out.text, usage },
  ];
  return {
    status: 200,
    contentType: eventStream,
    events: [...bodies.map((body) => `data: ${JSON.stringify(body)}\n\n`), 'data: [DONE]\n\n'],
  };
}

function indices(n: number): number[] {
  return n === 1 ? [0] : Array.from({ length: n }, (_, i) => i);
}
