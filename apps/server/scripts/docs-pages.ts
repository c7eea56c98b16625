/** The pages of docs/ that are made of the program: the settings from config.ts, the REST API from its OpenAPI description. */
import { openApi } from '../src/api/rest.ts';
import { settings } from '../src/config.ts';

const madeBy = '<!-- Made of the program by `npx --yes pnpm@12.21.0 docs`: change it there. -->';

/** File in docs/ -> its text. */
export const generatedPages = (): Readonly<Record<string, string>> => ({ 'configuration.md': configuration(), 'api.md': api() });

/** What a group begins with. A setting belongs to the group in which it stands in config.ts. */
const groups: Readonly<Record<string, string>> = {
  ENCRYPTION_KEY: 'Secrets',
  HOST: 'Where it is reached',
  DATA_DIR: 'Data',
  PLATFORM_OPENAI_API_KEY: 'Providers and the platform',
  IDENTITY_ISSUER: 'Your own sign-in',
  STRIPE_SECRET_KEY: 'Billing',
  MAX_CONCURRENT_REQUESTS: 'Limits, e-mail, prices, retention',
  METRICS_TOKEN: 'Metrics, traces, log',
};

function configuration(): string {
  const all = settings();
  const lines = all.flatMap(({ name, fallback, means, secret }) => {
    const heading = groups[name];
    const head = heading ? ['', `## ${heading}`, '', '| Name | Default | Meaning |', '| --- | --- | --- |'] : [];
    return [...head, `| \`${name}\`${secret ? ' *' : ''} | ${fallback === null ? 'none' : `\`${fallback}\``} | ${cell(means)} |`];
  });
  const missing = Object.keys(groups).filter((first) => !all.some(({ name }) => name === first));
  if (missing.length > 0) throw new Error(`There is no setting ${missing.join(', ')}: begin its group with another.`);
  return `# Configuration

${madeBy}

Every setting is a variable of the environment, or a line in \`.env\` in the working directory; real variables win, and an empty value counts
as not set. A wrong configuration stops the start, with exit code 1, and names every mistake at once, never a value. [.env.example](../.env.example)
has them all as lines to copy; the [operator guide](operator-guide.md) says when to set what.

A star marks secrets: each may stand in a file of its own, \`NAME_FILE=/path\` in place of \`NAME\`.
${lines.join('\n')}
`;
}

interface Schema {
  type?: string | string[];
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  format?: string;
  additionalProperties?: Schema | boolean;
}
interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema: Schema;
}
type Content = Record<string, { schema: Schema }>;
interface Operation {
  summary: string;
  security?: unknown[];
  parameters?: Parameter[];
  requestBody?: { content: Content };
  responses: Record<string, { description: string; content?: Content }>;
}

function api(): string {
  const { paths } = openApi('', 'https://byok.example.com') as unknown as { paths: Record<string, Record<string, Operation>> };
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const byNoun = Map.groupBy(operations, ({ path }) => nounOf(path));
  const contents = [...byNoun.keys()].map((noun) => `[${noun}](#${noun.replaceAll(' ', '-').replaceAll('.', '')})`).join(' · ');
  const sections = [...byNoun].map(
    ([noun, list]) => `## ${noun}\n\n${list.map(({ method, path, operation }) => section(`${method} ${path}`, operation)).join('\n')}`,
  );
  return `# API reference

${madeBy}

The REST API, of which a running server has the same as a page (\`/api/docs\`) and as OpenAPI 3.1 (\`/api/openapi.json\`). Send
\`Authorization: Bearer <jwt>\` (from \`POST /api/v1/auth/token\`, for 15 minutes) or an access token with the scope \`manage\`. Errors are
\`application/problem+json\`; the [user guide](user-guide.md#errors-1) lists their codes, and shows the API in use. What SDKs call is in
the [user guide](user-guide.md#the-routes) too. \`?\` marks what may be left out.

${contents}

${sections.join('\n')}`;
}

function nounOf(path: string): string {
  const [noun = '', more = ''] = path.replace('/api/v1/', '').split('/');
  return noun === 'admin' ? `admin ${more}` : noun;
}

function section(title: string, { summary, parameters = [], requestBody, responses }: Operation): string {
  const [status, answer] = Object.entries(responses)[0] ?? ['', { description: '' }];
  const given = parameters.map(({ name, in: place, required, schema, description }) =>
    field(name, { ...schema, description: description ?? schema.description }, required === true, place),
  );
  const body = Object.entries(requestBody?.content ?? {}).flatMap(([, { schema }]) => fieldsOf(schema, 'body'));
  const answers = Object.entries(answer.content ?? {}).map(([type, { schema }]) => `\`${type}\` \`${typeOf(schema, 0)}\``);
  const table =
    given.length + body.length === 0 ? [] : ['', '| Field | In | Type | Meaning |', '| --- | --- | --- | --- |', ...given, ...body];
  return [`### ${title}`, '', `${cell(summary)}.`, ...table, '', `**${status}** ${[answer.description, ...answers].join(': ')}`, ''].join(
    '\n',
  );
}

const fieldsOf = ({ properties = {}, required = [] }: Schema, place: string): string[] =>
  Object.entries(properties).map(([name, schema]) => field(name, schema, required.includes(name), place));

const field = (name: string, schema: Schema, required: boolean, place: string): string =>
  `| \`${name}\`${required ? '' : '?'} | ${place} | \`${typeOf(schema, 1).replaceAll('|', '\\|')}\` | ${cell(schema.description ?? '')} |`;

/** In TypeScript's manner; what lies deep is `{...}`, since a reader finds it in openapi.json. */
function typeOf(schema: Schema, depth: number): string {
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return [...new Set(options.map((one) => typeOf(one, depth)))].join(' | ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(' | ');
  if (schema.items)
    return schema.items.properties || schema.items.anyOf ? `${typeOf(schema.items, depth + 1)}[]` : `${typeOf(schema.items, depth)}[]`;
  if (schema.properties) {
    if (depth > 2) return '{...}';
    const { required = [] } = schema;
    const parts = Object.entries(schema.properties).map(
      ([name, one]) => `${name}${required.includes(name) ? '' : '?'}: ${typeOf(one, depth + 1)}`,
    );
    return `{${parts.join(', ')}}`;
  }
  if (typeof schema.additionalProperties === 'object') return `{[name]: ${typeOf(schema.additionalProperties, depth + 1)}}`;
  if (schema.format) return schema.format;
  return [schema.type ?? 'any'].flat().join(' | ');
}

/** As a cell of a table, in one line. */
const cell = (text: string): string => text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').replace(/\.$/, '');
