/** What is asked in the benchmark: about 2 kB of prompt, answered as JSON or as a stream. */

export interface Shape {
  name: string;
  /** Content chunks of the stream; 0: plain JSON. */
  chunks: number;
  /** Stands in the prompt, so that the upstream knows what to play. */
  marker: string;
}

export const shapes = {
  plain: { name: 'plain JSON', chunks: 0, marker: 'in one piece' },
  sse50: { name: 'SSE, 50 chunks', chunks: 50, marker: 'in 50 pieces' },
  sse500: { name: 'SSE, 500 chunks', chunks: 500, marker: 'in 500 pieces' },
} as const satisfies Record<string, Shape>;

/** A stream that stays open until the upstream is told to finish, with a chunk a second. */
export const slowShape = { name: 'a slow stream', chunks: 50, marker: 'drop by drop' } as const satisfies Shape;

export const path = '/v1/chat/completions';
export const providerKey = 'sk-proj-bench-Zt5wq0vYb7Kc2mXr8Lp4';

const context = 'The customer wrote last week that the parcel had arrived late and that one of the cups in it was broken. '.repeat(17);

/** What every peer is asked with. */
export const headersFor = (credential: string) => ({ authorization: `Bearer ${credential}`, 'content-type': 'application/json' });

export function bodyOf({ chunks, marker }: Shape): string {
  return JSON.stringify({
    model: 'gpt-4o-mini',
    ...(chunks > 0 && { stream: true }),
    temperature: 0.2,
    messages: [
      { role: 'system', content: context },
      { role: 'user', content: `Write a kind answer, ${marker}.` },
    ],
  });
}
