/** What the demo's scripted provider answers to the agents: enough to see an answer stream, and what can be done with it. */
import { fields, list } from '../src/providers/reading.ts';
import { parse } from '../test/provider/json.ts';
import type { Answer } from '../test/provider.ts';

const answer = `This is the demo: no model reads your question, and every question gets this answer. It streams as a real one does. **Stop**, or
Escape, ends it at once.

| You want to | Then |
| --- | --- |
| know whose key paid, and why | press the coloured sign below this answer |
| see tokens and cost | look beside it, and at the top for all of the conversation |
| use another model | press its name below the message field |
| ask again | press the arrow in a circle, or the pencil beside your question |

Code is coloured, and has a button that copies it:

\`\`\`ts
/** "SEO Writer" becomes "seo_writer". */
export function slugOf(name: string): string {
  return name.trim().toLowerCase().replace(/[^a-z0-9]+/g, '_');
}
\`\`\`

To read an answer of your own making, begin a message with \`/say\`, and write the answer on the lines below it.`;

const proposal = `

The General Assistant can hand over to a colleague. Here it proposes the Software Developer:

<handover to="developer"/>`;

/** Nothing, unless an agent asks: they alone stream under a system prompt here. */
export function agentsAnswer(body: Buffer): Partial<Answer> {
  const asked = fields(parse(body));
  const messages = list(asked.messages).map(fields);
  const system = asked.system ?? messages.find(({ role }) => role === 'system')?.content;
  if (asked.stream !== true || typeof system !== 'string') return {};
  const mayHandOver = system.includes('<handover') && messages.filter(({ role }) => role === 'user').length === 1;
  return { text: mayHandOver ? answer + proposal : answer, chunkDelayMs: 15 };
}
