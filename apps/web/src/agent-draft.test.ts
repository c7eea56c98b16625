import { AgentSlug } from '@synthstack/core';
import { expect, test } from 'vitest';
import { definitionOf, differences, draftOf, emptyDefinition, isSame, mistakesOf, slugFrom } from './agent-draft.ts';

const lawyer = {
  ...emptyDefinition,
  ...{ name: 'Lawyer', description: 'Reads contracts.', prompt: 'You read.\n\nSlowly.', starters: ['Read this.', 'And that.'] },
  temperature: 0.5,
};
const draft = draftOf(lawyer, 'lawyer');

test('what is put in a form comes out of it as it was', () => {
  expect(definitionOf(draft)).toEqual(lawyer);
  expect(mistakesOf(draft, true)).toEqual({});
});

test('spaces and empty lines around what one means are no change', () => {
  const typed = {
    ...draft,
    name: ' Lawyer ',
    prompt: `${draft.prompt}\n\n`,
    starters: 'Read this.\n\n  And that.\n',
    temperature: ' 0,50 ',
  };
  expect(isSame(definitionOf(typed), lawyer)).toBe(true);
  expect(differences(definitionOf({ ...typed, inAllPlans: true, models: { ...typed.models, openai: 'gpt-5.4' } }), lawyer)).toEqual([
    'openai',
    'inAllPlans',
  ]);
});

test('each mistake stands at its field, and of the questions at its line', () => {
  expect(mistakesOf(draftOf(emptyDefinition), true)).toEqual({
    slug: 'A slug: 2 to 32 small letters, digits and underscores, the first a letter.',
    ...{ name: 'Say something here.', description: 'Say something here.', prompt: 'Say something here.' },
  });
  expect(mistakesOf(draftOf(emptyDefinition), false)).not.toHaveProperty('slug');
  const at = (changes: Partial<typeof draft>) => mistakesOf({ ...draft, ...changes }, false);
  expect(at({ prompt: 'x'.repeat(16_001) })).toEqual({ prompt: 'At most 16000 characters.' });
  expect(at({ starters: 'one\ntwo\n\nthree\nfour\nfive\nsix\nseven\neight\nnine' })).toEqual({ starters: 'At most 8 questions.' });
});

test.each([
  ['', null],
  ['0', 0],
  ['.7', 0.7],
  ['0,7', 0.7],
  ['2.', 2],
])('a temperature of %j is %j', (typed, expected) => {
  const changed = { ...draft, temperature: typed };
  expect([definitionOf(changed).temperature, mistakesOf(changed, false)]).toEqual([expected, {}]);
});

test.each(['warm', '2,1', '-1', '1e0', '0x1', '1.2.3', '.'])('a temperature of %j is none', (typed) => {
  expect(mistakesOf({ ...draft, temperature: typed }, false)).toEqual({ temperature: 'From 0 to 2.' });
});

test.each([
  ['Tax Adviser', 'tax_adviser'],
  ['Künstler & Söhne', 'kuenstler_soehne'],
  ['42 Élodie!', 'elodie'],
  ['日本', ''],
  ['a very long name that does not fit into a slug', 'a_very_long_name_that_does_not_f'],
])('of the name %j the slug is %j', (name, slug) => {
  expect(slugFrom(name)).toBe(slug);
  if (slug) expect(AgentSlug.safeParse(slug).success).toBe(true);
});
