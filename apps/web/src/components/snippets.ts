/** The text of the examples. */

export type SnippetSdk = 'openai' | 'anthropic';
export type SnippetLanguage = 'typescript' | 'python' | 'curl';

interface Values {
  origin: string;
  token: string;
}

/** Cheap and well known, so that the first call costs next to nothing and works with any account. */
const openaiModel = 'gpt-4.1-mini';
const anthropicModel = 'claude-haiku-4-5';

export interface Snippet {
  /** How the SDK is installed; '' where there is nothing to install. */
  install: string;
  code: string;
}

/** A program that people already have, told to come here. */
export interface ToolSnippet {
  name: string;
  where: 'inShell' | 'inSettings';
  code: string;
}

/** OpenAI's SDKs want the base URL with /v1, Anthropic's without (INTERFACE.md, "Gateway"). */
export const baseUrlOf = (sdk: SnippetSdk, origin: string): string => (sdk === 'openai' ? `${origin}/v1` : origin);

export function toolSnippets(sdk: SnippetSdk, { origin, token }: Values): ToolSnippet[] {
  const url = baseUrlOf(sdk, origin);
  if (sdk === 'anthropic') {
    return [
      { name: 'Claude Code', where: 'inShell', code: `export ANTHROPIC_BASE_URL="${url}"\nexport ANTHROPIC_AUTH_TOKEN="${token}"\nclaude` },
    ];
  }
  return [
    {
      name: 'Aider',
      where: 'inShell',
      code: `export OPENAI_API_BASE="${url}"\nexport OPENAI_API_KEY="${token}"\naider --model openai/${openaiModel}`,
    },
    { name: 'Open WebUI', where: 'inSettings', code: `URL  ${url}\nKey  ${token}` },
  ];
}

export function snippet(sdk: SnippetSdk, language: SnippetLanguage, values: Values): Snippet {
  return snippets[sdk][language](values);
}

const snippets: Record<SnippetSdk, Record<SnippetLanguage, (values: Values) => Snippet>> = {
  openai: {
    typescript: ({ origin, token }) => ({
      install: 'npm install openai',
      code: `import OpenAI from 'openai';

const client = new OpenAI({
  baseURL: '${origin}/v1',
  apiKey: '${token}',
});

const answer = await client.chat.completions.create({
  model: '${openaiModel}',
  messages: [{ role: 'user', content: 'Hello!' }],
});
console.log(answer.choices[0].message.content);`,
    }),
    python: ({ origin, token }) => ({
      install: 'pip install openai',
      code: `from openai import OpenAI

client = OpenAI(
    base_url="${origin}/v1",
    api_key="${token}",
)

answer = client.chat.completions.create(
    model="${openaiModel}",
    messages=[{"role": "user", "content": "Hello!"}],
)
print(answer.choices[0].message.content)`,
    }),
    curl: ({ origin, token }) => ({
      install: '',
      code: `curl ${origin}/v1/chat/completions \\
  -H "Authorization: Bearer ${token}" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "${openaiModel}", "messages": [{"role": "user", "content": "Hello!"}]}'`,
    }),
  },
  anthropic: {
    typescript: ({ origin, token }) => ({
      install: 'npm install @anthropic-ai/sdk',
      code: `import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic({
  baseURL: '${origin}',
  authToken: '${token}',
});

const answer = await client.messages.create({
  model: '${anthropicModel}',
  max_tokens: 256,
  messages: [{ role: 'user', content: 'Hello!' }],
});
console.log(answer.content);`,
    }),
    python: ({ origin, token }) => ({
      install: 'pip install anthropic',
      code: `from anthropic import Anthropic

client = Anthropic(
    base_url="${origin}",
    api_key="${token}",
)

answer = client.messages.create(
    model="${anthropicModel}",
    max_tokens=256,
    messages=[{"role": "user", "content": "Hello!"}],
)
print(answer.content)`,
    }),
    curl: ({ origin, token }) => ({
      install: '',
      code: `curl ${origin}/v1/messages \\
  -H "x-api-key: ${token}" \\
  -H "anthropic-version: 2023-06-01" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "${anthropicModel}", "max_tokens": 256, "messages": [{"role": "user", "content": "Hello!"}]}'`,
    }),
  },
};
