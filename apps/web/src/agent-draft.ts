/** An agent as a form has it: all of it text, until it is sent. */
import { AgentDefinition, AgentSlug, type AgentDefinition as Definition, type ProviderId } from '@synthstack/core';
import { t } from './i18n/i18n.ts';
import { complaint } from './problem.ts';

export interface AgentDraft {
  slug: string;
  name: string;
  description: string;
  prompt: string;
  /** One a line. */
  starters: string;
  models: Record<ProviderId, string>;
  /** Empty: the model's own. */
  temperature: string;
  inAllPlans: boolean;
}

/** Of what something can be wrong. */
export type Field = 'slug' | 'name' | 'description' | 'prompt' | 'starters' | 'models' | 'temperature';
export type Mistakes = Partial<Record<Field, string>>;

export const emptyDefinition: Definition = {
  ...{ name: '', description: '', prompt: '', starters: [], temperature: null, inAllPlans: false },
  models: { openai: 'gpt-4.1-mini', anthropic: 'claude-haiku-4-5' },
};

export function draftOf(definition: Definition, slug = ''): AgentDraft {
  const { name, description, prompt, starters, models, temperature, inAllPlans } = definition;
  return {
    ...{ slug, name, description, prompt, models: { ...models }, inAllPlans },
    starters: starters.join('\n'),
    temperature: temperature === null ? '' : String(temperature),
  };
}

/** As the server would keep it; a temperature that is no number is NaN. */
export function definitionOf(draft: AgentDraft): Definition {
  return {
    ...{ name: draft.name.trim(), description: oneLine(draft.description), prompt: draft.prompt.trim() },
    starters: questionsIn(draft.starters),
    models: { ...draft.models },
    temperature: temperatureOf(draft.temperature),
    inAllPlans: draft.inAllPlans,
  };
}

export function questionsIn(text: string): string[] {
  return linesOf(text).filter((line) => line !== '');
}

/** A purpose is one line; its field is higher so that one sees all of it. */
const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, ' ');

/** Whether two definitions say the same. */
export function isSame(one: Definition, other: Definition): boolean {
  return differences(one, other).length === 0;
}

export const parts = ['name', 'description', 'prompt', 'starters', 'openai', 'anthropic', 'temperature', 'inAllPlans'] as const;
export type Part = (typeof parts)[number];

/** In what two definitions differ, in the order of the form. */
export function differences(one: Definition, other: Definition): Part[] {
  return parts.filter((part) => textOf(one, part) !== textOf(other, part));
}

/** A part of a definition as a text that can be compared. */
export function textOf(definition: Definition, part: Part): string {
  if (part === 'openai' || part === 'anthropic') return definition.models[part];
  if (part === 'starters') return definition.starters.join('\n');
  return String(definition[part]);
}

/** What a contract says against the draft, field by field. @param isNew  its slug is the person's to choose */
export function mistakesOf(draft: AgentDraft, isNew: boolean): Mistakes {
  const { name, description, prompt, models, temperature } = AgentDefinition.shape;
  const definition = definitionOf(draft);
  const found: Mistakes = {
    slug: isNew ? complaint(AgentSlug, draft.slug) : undefined,
    name: complaint(name, definition.name),
    description: complaint(description, definition.description),
    prompt: complaint(prompt, definition.prompt),
    starters: startersMistake(draft.starters),
    models: complaint(models, definition.models),
    temperature: complaint(temperature, definition.temperature),
  };
  return Object.fromEntries(Object.entries(found).filter(([, mistake]) => mistake !== undefined));
}

/** Small letters, digits and underscores, as far as a name has them: `Tax Adviser` is `tax_adviser`. */
export function slugFrom(name: string): string {
  return name
    .toLowerCase()
    .replace(/ä/g, 'ae')
    .replace(/ö/g, 'oe')
    .replace(/ü/g, 'ue')
    .replace(/ß/g, 'ss')
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^[\d_]+/, '')
    .slice(0, 32)
    .replace(/_+$/, '');
}

/** A mistake in one line names it; a mistake of all of them is said as it is. */
function startersMistake(text: string): string | undefined {
  const { starters } = AgentDefinition.shape;
  for (const [index, line] of linesOf(text).entries()) {
    const mistake = line === '' ? undefined : complaint(starters, [line]);
    if (mistake !== undefined) return t('admin.agent.line', { n: index + 1, mistake });
  }
  return complaint(starters, questionsIn(text));
}

const linesOf = (text: string): string[] => text.split(/\r?\n/).map((line) => line.trim());

/** People of half the world write a comma. */
function temperatureOf(text: string): number | null {
  const typed = text.trim().replace(',', '.');
  if (typed === '') return null;
  return /^\d*\.?\d+$|^\d+\.$/.test(typed) ? Number(typed) : Number.NaN;
}
