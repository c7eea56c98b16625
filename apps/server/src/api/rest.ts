/**
 * REST and OpenAPI, derived from the procedures: each that names a door in `meta.rest` is called through it with the same
 * schemas, and errors leave as RFC 9457 problems. One table of doors serves calls, documentation and the authorisation matrix.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  AdminUsageQuery,
  AnswerEvent,
  AppError,
  AuditExport,
  ConversationExport,
  Question,
  toProblem,
  UsageExport,
  wrongField,
} from '@synthstack/core';
import { callTRPCProcedure, getTRPCErrorFromUnknown } from '@trpc/server';
import { z } from 'zod';
import { jsonObject, readText } from '../body.ts';
import type { Target } from '../target.ts';
import { appRouter, bodyLimit, procedures } from './router.ts';
import { appErrorOf, type Context } from './trpc.ts';

export interface Door {
  method: string;
  /** `/api/v1/api-keys/{id}` */
  path: string;
  /** The procedure's own name, `keys.test`. */
  procedure: string;
  kind: 'query' | 'mutation';
  status: number;
  summary: string;
  input: z.ZodType | null;
  output: z.ZodType;
}

export const doors: readonly Door[] = [...procedures].flatMap(([procedure, { _def: def }]) => {
  const [method, path] = def.meta?.rest?.split(' ') ?? [];
  if (!method || !path || !def.output || def.type === 'subscription') return [];
  const { status = 200, summary = '' } = def.meta ?? {};
  return [{ method, path, procedure, kind: def.type, status, summary, input: def.inputs[0] ?? null, output: def.output }];
});

/** Answers one REST call. @returns false: there is no such door */
export async function handleRest(req: IncomingMessage, res: ServerResponse, target: Target, context: Context): Promise<boolean> {
  // What HEAD asks for is GET's answer without its body, which Node leaves out by itself.
  const found = findDoor(req.method === 'HEAD' ? 'GET' : (req.method ?? ''), target.pathname);
  if (!found) return false;
  const { door, ids } = found;
  const result = await call(door, context, async () => withIds(await readInput(req, door, target), ids));
  if (door.status === 204) res.writeHead(204).end();
  else sendJson(res, door.status, result);
  return true;
}

export function sendProblem(res: ServerResponse, error: AppError): void {
  const headers = {
    ...(error.retryAfter && { 'retry-after': error.retryAfter }),
    ...(error.form.http === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  };
  sendJson(res, error.form.http, toProblem(error), { 'content-type': 'application/problem+json', ...error.headers, ...headers });
}

export function sendJson(res: ServerResponse, status: number, value: unknown, headers: Record<string, string> = {}): void {
  const body = JSON.stringify(value);
  res.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(body),
    ...headers,
  });
  res.end(body);
}

async function call(door: Door, context: Context, getRawInput: () => Promise<unknown>): Promise<unknown> {
  try {
    return await callTRPCProcedure({
      router: appRouter,
      path: door.procedure,
      getRawInput: door.input ? getRawInput : async () => undefined,
      ctx: context,
      type: door.kind,
      signal: undefined,
      batchIndex: 0,
    });
  } catch (thrown) {
    throw appErrorOf(getTRPCErrorFromUnknown(thrown));
  }
}

/** The door for exactly this path. A known path with another method is said to be that. */
function findDoor(method: string, pathname: string): { door: Door; ids: Record<string, string> } | null {
  const here = doors.flatMap((door) => {
    const ids = idsIn(door.path, pathname);
    return ids ? [{ door, ids }] : [];
  });
  // A path that is named as it stands comes before one with a hole in the same place.
  const found = here.filter(({ door }) => door.method === method).sort((a, b) => Object.keys(a.ids).length - Object.keys(b.ids).length)[0];
  if (!found && here.length > 0) {
    const methods = [...new Set(here.map(({ door }) => door.method))].join(', ');
    throw new AppError('method_not_allowed', `${method} is not possible here; ${methods} is.`, { headers: { allow: methods } });
  }
  return found ?? null;
}

/** What stands in the places of a template's `{names}`; null: another path. */
export function idsIn(template: string, pathname: string): Record<string, string> | null {
  const wanted = template.split('/');
  const given = pathname.split('/');
  if (wanted.length !== given.length) return null;
  const ids: Record<string, string> = {};
  for (const [i, segment] of wanted.entries()) {
    const value = given[i] ?? '';
    if (!segment.startsWith('{')) {
      if (segment !== value) return null;
      continue;
    }
    if (value === '') return null;
    try {
      ids[segment.slice(1, -1)] = decodeURIComponent(value);
    } catch {
      return null;
    }
  }
  return ids;
}

/** @throws AppError `invalid_input`: the input names again what the path names already */
function withIds(input: Record<string, unknown>, ids: Record<string, string>): Record<string, unknown> {
  for (const name of Object.keys(ids))
    if (Object.hasOwn(input, name)) throw wrongField(name, 'It stands in the path already: leave it out.');
  return { ...input, ...ids };
}

async function readInput(req: IncomingMessage, door: Door, target: Target): Promise<Record<string, unknown>> {
  return door.kind === 'query' ? readQuery(door.input, target) : readJson(req, bodyLimit(door.procedure));
}

/** A JSON object; no body at all is an empty one. @throws AppError `too_large`, `unsupported_media`, `invalid_input`, `request_timeout` */
export async function readJson(req: IncomingMessage, limitBytes: number): Promise<Record<string, unknown>> {
  const text = await readText(req, limitBytes);
  if (text === '') return {};
  const type = req.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json' || req.headers['content-encoding'] !== undefined) {
    throw new AppError('unsupported_media', 'Send the body as plain JSON, with content-type: application/json.');
  }
  return jsonObject(text);
}

/** A query holds only texts: what the schema wants as a whole number or a truth is read as one here, so that the schemas stay strict. */
export function readQuery(schema: z.ZodType | null, target: Target): Record<string, unknown> {
  const { properties = {} } = schema ? (z.toJSONSchema(schema, jsonSchemaOptions('input')) as JsonObject) : {};
  const input: Record<string, unknown> = Object.create(null);
  for (const [name, text] of target.searchParams) {
    if (Object.hasOwn(input, name)) throw wrongField(name, 'Give it once.');
    input[name] = typed(text, Object.hasOwn(properties, name) ? properties[name]?.type : undefined);
  }
  return input;
}

function typed(text: string, type: string | undefined): unknown {
  if (type === 'integer' && /^-?\d{1,15}$/.test(text)) return Number(text);
  return type === 'boolean' && /^(true|false)$/.test(text) ? text === 'true' : text;
}

/** The OpenAPI 3.1 description of all doors. */
export function openApi(version: string, publicUrl: string): unknown {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const door of doors) {
    paths[door.path] = { ...paths[door.path], [door.method.toLowerCase()]: operation(door) };
    Object.assign(paths, streamed[door.procedure]);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'SynthStack BYOK', version, description: 'Keys, usage, limits and tokens. AI requests go to /v1 (see the user guide).' },
    servers: [{ url: publicUrl }],
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'A JWT, or an access token (`byok_...`, also called gateway token) with the scope manage.',
        },
      },
    },
    paths,
  };
}

function operation(door: Door): unknown {
  const names = [...door.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
  const schema = door.input ? (z.toJSONSchema(door.input, jsonSchemaOptions('input')) as JsonObject) : null;
  const pathParameters = names.map((name) => ({
    name,
    in: 'path',
    required: true,
    schema: schema?.properties?.[name] ?? { type: 'string' },
  }));
  const rest = schema && withoutProperties(schema, names);
  const queryParameters = door.kind === 'query' && rest ? parametersOf(rest) : [];
  const hasBody = door.kind === 'mutation' && rest && Object.keys(rest.properties ?? {}).length > 0;
  return {
    operationId: door.procedure,
    summary: door.summary,
    security: door.path === '/api/v1/auth/token' ? [] : [{ bearer: [] }],
    parameters: [...pathParameters, ...queryParameters],
    ...(hasBody && { requestBody: { required: true, content: { 'application/json': { schema: rest } } } }),
    responses: {
      [door.status]:
        door.status === 204
          ? { description: 'Done' }
          : {
              description: 'Success',
              content: { 'application/json': { schema: z.toJSONSchema(door.output, jsonSchemaOptions('output')) } },
            },
      default: problem,
    },
  };
}

function parametersOf({ properties = {}, required = [] }: JsonObject): unknown[] {
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', required: required.includes(name), schema }));
}

interface JsonObject {
  properties?: Record<string, { type?: string }>;
  required?: string[];
}

function withoutProperties(schema: JsonObject, names: readonly string[]): JsonObject {
  const properties = Object.fromEntries(Object.entries(schema.properties ?? {}).filter(([name]) => !names.includes(name)));
  return { ...schema, properties, required: schema.required?.filter((name) => !names.includes(name)) ?? [] };
}

const jsonSchemaOptions = (io: 'input' | 'output') => ({ io, unrepresentable: 'any' }) as const;

const problemSchema = {
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'detail'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string' },
    detail: { type: 'string' },
    errors: { type: 'object', additionalProperties: { type: 'array', items: { type: 'string' } } },
  },
};
const problem = { description: 'What is wrong, and what to do', content: { 'application/problem+json': { schema: problemSchema } } };

/** They stream, so http.ts answers them, outside the table of procedures. */
const csvOperation = {
  operationId: 'usage.csv',
  summary: 'Every request of a range as CSV',
  security: [{ bearer: [] }],
  parameters: parametersOf(z.toJSONSchema(UsageExport, jsonSchemaOptions('input')) as JsonObject),
  responses: {
    200: { description: 'One line a request, oldest first', content: { 'text/csv': { schema: { type: 'string' } } } },
    default: problem,
  },
};
const platformCsvOperation = {
  ...csvOperation,
  operationId: 'admin.usage.csv',
  summary: 'Sums of everybody in a range as CSV: a line for each period, model, key source and tier',
  parameters: parametersOf(z.toJSONSchema(AdminUsageQuery, jsonSchemaOptions('input')) as JsonObject),
};
const askOperation = {
  operationId: 'agents.ask',
  summary: 'Ask an agent; the answer comes as server-sent events',
  security: [{ bearer: [] }],
  parameters: [
    { name: 'slug', in: 'path', required: true, schema: { type: 'string' } },
    {
      name: 'Last-Event-ID',
      in: 'header',
      description: 'The id of the last event that you have: the answer goes on after it, and nothing is asked.',
      schema: { type: 'string' },
    },
  ],
  requestBody: { required: true, content: { 'application/json': { schema: z.toJSONSchema(Question, jsonSchemaOptions('input')) } } },
  responses: {
    200: {
      description: 'start, delta, handover, usage, then done or error, each with an id; the data without its type',
      content: { 'text/event-stream': { schema: z.toJSONSchema(AnswerEvent, jsonSchemaOptions('output')) } },
    },
    default: problem,
  },
};
const exportOperation = {
  operationId: 'conversations.export',
  summary: 'A conversation as a file',
  security: [{ bearer: [] }],
  parameters: [
    { name: 'id', in: 'path', required: true, schema: { type: 'string' } },
    ...parametersOf(z.toJSONSchema(ConversationExport, jsonSchemaOptions('input')) as JsonObject),
  ],
  responses: {
    200: {
      description: 'All of its messages, oldest first',
      content: { 'text/markdown': { schema: { type: 'string' } }, 'application/json': { schema: { type: 'object' } } },
    },
    default: problem,
  },
};

const auditOperation = {
  operationId: 'admin.audit.export',
  summary: 'The audit log as a file',
  security: [{ bearer: [] }],
  parameters: parametersOf(z.toJSONSchema(AuditExport, jsonSchemaOptions('input')) as JsonObject),
  responses: {
    200: {
      description: 'One line an entry, oldest first',
      content: { 'text/csv': { schema: { type: 'string' } }, 'application/jsonl': { schema: { type: 'string' } } },
    },
    default: problem,
  },
};

const accountOperation = {
  operationId: 'account.export',
  summary: 'All that the server knows of you, as one JSON file, without any secret; not with an access token',
  security: [{ bearer: [] }],
  parameters: [],
  responses: {
    200: { description: 'A list for each kind of thing', content: { 'application/json': { schema: { type: 'object' } } } },
    default: problem,
  },
};

/** By the procedure that they stand behind. */
const streamed: Readonly<Record<string, Record<string, Record<string, unknown>>>> = {
  'usage.report': { '/api/v1/api-keys/usage.csv': { get: csvOperation } },
  'admin.usage.report': { '/api/v1/admin/usage.csv': { get: platformCsvOperation } },
  'agents.list': { '/api/v1/agents/{slug}/messages': { post: askOperation } },
  'admin.audit.list': { '/api/v1/admin/audit/export': { get: auditOperation } },
  'tokens.list': { '/api/v1/account/export': { get: accountOperation } },
  'conversations.get': { '/api/v1/conversations/{id}/export': { get: exportOperation } },
};
