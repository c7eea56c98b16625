/** What a model is told: the agent's prompt, as much of the conversation as there is room for, and the question with its files. */
import type { Attachment } from '@synthstack/core';
import { coordinator, houseRules } from './agents-catalog.ts';
import type { Agent } from './agents-roster.ts';
import { speakers, type Turn } from './agents-speakers.ts';
import type { Voice } from './agents-voice.ts';

/** What was said before, by whom. */
export interface Past extends Turn {
  attachments: readonly Attachment[];
  /** Who answered or was asked; null: it is not known. */
  agent: string | null;
}

export interface Colleague {
  agent: Agent;
  /** The caller's plan has it. */
  available: boolean;
}

/** Text and files in one, as models read them. */
export function withFiles(content: string, attachments: readonly Attachment[]): string {
  return [content, ...attachments.map(({ name, text }) => `<file name="${name}">\n${text}\n</file>`)].join('\n\n');
}

/**
 * The newest turns that the model has room for. What is too much goes from the oldest on, each question with its answer.
 * @returns `dropped`: how many questions with their answers
 */
export async function fit(past: readonly Past[], { provider, model }: Voice): Promise<{ turns: Turn[]; dropped: number }> {
  // An answer that broke off before its first word says nothing.
  const said = past.filter(({ content, attachments }) => content.trim() !== '' || attachments.length > 0);
  const turns = said.map(({ role, content, attachments }) => ({ role, content: withFiles(content, attachments) }));
  const room = speakers[provider.id].historyTokens(model);
  if (turns.reduce((sum, { content }) => sum + Buffer.byteLength(content), 0) * mostTokensPerByte <= room) return { turns, dropped: 0 };
  let first = turns.length;
  let left = room;
  for (const [i, { role, content }] of [...turns.entries()].reverse()) {
    // What cannot fit is not counted either: that takes its time.
    left -= content.length > left * mostCharactersPerToken ? Number.POSITIVE_INFINITY : await provider.countTokens(content, model);
    if (left < 0) break;
    if (role === 'user') first = i;
  }
  return { turns: turns.slice(first), dropped: turns.slice(0, first).filter(({ role }) => role === 'user').length };
}

/** A token is a byte at least; Anthropic's are estimated at up to 1.56 of OpenAI's. */
const mostTokensPerByte = 1.6;
/** No text is made of longer ones throughout, but for repetitions, which are no loss. */
const mostCharactersPerToken = 12;

export function systemPrompt(
  agent: Agent,
  { colleagues, past, nowMs }: { colleagues: readonly Colleague[]; past: readonly Past[]; nowMs: number },
): string {
  const before = [...new Set(past.filter(({ role }) => role === 'assistant').map((one) => one.agent))]
    .filter((slug) => slug !== agent.slug)
    .flatMap((slug) => colleagues.find((one) => one.agent.slug === slug)?.agent.name ?? []);
  return [
    agent.prompt,
    houseRules,
    `# Today\nIt is ${new Date(nowMs).toISOString().slice(0, 10)}.`,
    ...(before.length > 0
      ? [`# Before you\nEarlier answers here are from ${before.join(', ')}. Go on from there, without introducing yourself.`]
      : []),
    ...(agent.slug === coordinator && colleagues.length > 0 ? [aboutColleagues(colleagues)] : []),
  ].join('\n\n');
}

function aboutColleagues(colleagues: readonly Colleague[]): string {
  const lines = (available: boolean) =>
    colleagues.filter((one) => one.available === available).map(({ agent }) => `- \`${agent.slug}\`: ${agent.name}. ${agent.description}`);
  const [here, elsewhere] = [lines(true), lines(false)];
  const handOver = `Where one of them would do clearly better, answer as far as you usefully can, say in one sentence whom you propose and why, and end with a line of its own:
<handover to="slug"/>
with that colleague's slug. The person sees a button instead of that line. Not for small things, never more than one, never for a slug that is not in this list, and not again when they have gone on with you.`;
  return [
    '# Your colleagues',
    ...(here.length > 0 ? [here.join('\n'), handOver] : []),
    ...(elsewhere.length > 0
      ? [
          `These are not part of this person's plan: help as well as you can yourself. Where it matters, say in half a sentence that there is such a colleague.\n${elsewhere.join('\n')}`,
        ]
      : []),
  ].join('\n\n');
}
