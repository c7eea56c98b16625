/** Texts of natural variety, as people send them to models and models write them: seeded, of any length. */
import type { Random } from './random.ts';

export const textKinds = ['English', 'German', 'code', 'JSON', 'Chinese and Japanese', 'emoji'] as const;
export type TextKind = (typeof textKinds)[number];

/** @param characters  about so many UTF-16 units */
export function write(random: Random, kind: TextKind, characters: number): string {
  const pieces: string[] = [];
  for (let length = 0; length < characters; ) {
    const piece = writers[kind](random);
    pieces.push(piece);
    length += piece.length;
  }
  const text = pieces.join('').slice(0, characters).trimEnd();
  // Half a pair of surrogates is no letter.
  return /[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text;
}

const writers: Record<TextKind, (random: Random) => string> = {
  English: (random) => sentence(random, english),
  German: (random) => sentence(random, german),
  code,
  JSON: (random) => `${JSON.stringify(record(random, 2), null, random.chance(0.3) ? 2 : 0)}\n`,
  'Chinese and Japanese': (random) => fill(random, random.pick(eastern)),
  emoji: (random) =>
    `${sentence(random, english).trimEnd()} ${Array.from({ length: random.int(1, 3) }, () => random.pick(emoji)).join('')} `,
};

interface Language {
  patterns: readonly string[];
  ends: readonly string[];
}

/** `{who}` and the like are filled from lists; a number, a date or a name now and then makes it less even. */
function sentence(random: Random, { patterns, ends }: Language): string {
  const end = random.chance(0.12) ? '\n\n' : ' ';
  return `${fill(random, random.pick(patterns))}${random.pick(ends)}${end}`;
}

function fill(random: Random, pattern: string): string {
  return pattern.replaceAll(/\{(\w+)\}/g, (_, list: string) => {
    if (list === 'number')
      return random.pick([
        String(random.int(2, 99)),
        random.int(1_000, 99_999).toLocaleString('en'),
        `${random.int(1, 99)}.${random.int(1, 9)}%`,
      ]);
    if (list === 'date')
      return `${random.int(2019, 2027)}-${String(random.int(1, 12)).padStart(2, '0')}-${String(random.int(1, 28)).padStart(2, '0')}`;
    return random.pick(lists[list] ?? [list]);
  });
}

const lists: Record<string, readonly string[]> = {
  who: [
    'the customer',
    'our accountant',
    'Dr. Okonkwo',
    'a colleague from Tallinn',
    'everybody in the warehouse',
    'Maria',
    'the night shift',
    'nobody',
  ],
  did: [
    'noticed',
    'had already described',
    'refused to believe',
    'wrote down',
    'quietly corrected',
    'asked about',
    'misunderstood',
    'photographed',
  ],
  what: [
    'the second invoice',
    'a leaking valve',
    'an unusually generous refund',
    'the migration plan',
    'three missing parcels',
    "yesterday's measurements",
    'the thermostat',
    'a paragraph on liability',
  ],
  why: [
    'because the deadline had moved',
    'although it was late',
    'in order to save {number} euros',
    'since {date}',
    'without telling anyone',
    'after reading the manual twice',
    'for the sake of completeness',
  ],
  adjective: ['reliable', 'somewhat bewildering', 'inexpensive', 'asynchronous', 'well-documented', 'half-finished', 'photovoltaic'],
  wer: [
    'die Buchhaltung',
    'der Vermieter',
    'Frau Özdemir',
    'eine Kollegin aus Graz',
    'die Datenschutzbeauftragte',
    'niemand',
    'das Lüftungsgerät',
  ],
  tat: ['bemerkte', 'beantragte', 'übersah', 'genehmigte', 'bezweifelte', 'beschrieb ausführlich', 'verschob'],
  was: [
    'die Nebenkostenabrechnung',
    'eine Fristverlängerung',
    'den Wärmemengenzähler',
    'das Rücksendeetikett',
    'die Übergabeprotokolle',
    'einen Kostenvoranschlag',
  ],
  warum: [
    'weil die Frist verstrichen war',
    'obwohl es regnete',
    'seit dem {date}',
    'um {number} Euro zu sparen',
    'ohne Rücksprache',
    'nach gründlicher Prüfung',
  ],
  name: ['user', 'invoice', 'retryCount', 'parseHeader', 'bucketStart', 'is_valid', 'tokenBudget', 'MAX_DEPTH', 'fetchPage', 'onDrain'],
  type: ['string', 'number', 'Buffer', 'Promise<void>', 'Map<string, number>', 'boolean'],
};

const english: Language = {
  patterns: [
    'On {date}, {who} {did} {what} {why}',
    'It turned out that {who} {did} {what}, {why}',
    'Please summarise how {who} {did} {what} and suggest a {adjective} alternative',
    'There are {number} ways to explain {what}: the {adjective} one is rarely the best',
    '"{what}", said {who}, "is more {adjective} than I thought"',
    "We don't know whether {who} {did} {what}; the log of {date} says {number}",
    '1. {what} must be {adjective}',
    'However, {who} {did} something {adjective} {why}, which is why {what} cost {number} more than planned',
  ],
  ends: ['.', '.', '.', '!', '?', ';'],
};
const german: Language = {
  patterns: [
    'Am {date} {tat} {wer} {was}, {warum}',
    'Es stellte sich heraus, dass {wer} {was} {number} Mal prüfen musste, {warum}',
    'Bitte erklären Sie, warum {wer} {was} nicht erhalten hat',
    'Für {was} gilt eine Übergangsregelung, {warum}',
    'Außerdem {tat} {wer} {was}: das verändert die Größenordnung um {number}',
  ],
  ends: ['.', '.', '.', '!', '?'],
};
const eastern = [
  '请在{date}之前检查第{number}份合同，并说明为什么客户没有收到退款。',
  '这台设备的温度传感器出现了异常，我们需要重新测量{number}次。',
  '会議は{date}に延期されましたので、資料を{number}部ご用意ください。',
  '昨日の測定結果によると、バルブから水が漏れている可能性があります。',
  '如果网络连接中断，系统会自动重试，但不会重复扣费。',
  'お客様からのお問い合わせについて、担当者が確認しております。\n',
  '量子计算机与传统计算机的主要区别在于信息的表示方式！',
];
const emoji = ['🎉', '👩‍👩‍👧‍👦', '🏳️‍🌈', '✅', '🚀', '😅', '❤️', '🇩🇪', '👍🏽', '🧪', '🤷‍♂️', '☕️'];

function code(random: Random): string {
  const name = () => fill(random, '{name}');
  return random.pick([
    () =>
      `export async function ${name()}(${name()}: ${fill(random, '{type}')}): ${fill(random, '{type}')} {\n  if (!${name()}) throw new Error('${name()} is missing');\n  return ${name()}.map((one) => one.${name()} ?? ${random.int(0, 9_999)});\n}\n\n`,
    () =>
      `def ${name()}(self, ${name()}=None, *args):\n    """${sentence(random, english).trim()}"""\n    for i, row in enumerate(${name()}):\n        if row["${name()}"] >= ${random.int(0, 500)}:\n            yield i, row\n\n`,
    () =>
      `SELECT ${name()}, count(*) FROM ${name()} WHERE ${name()} > ${random.int(1, 9_999)} AND created_at >= '${fill(random, '{date}')}' GROUP BY 1 ORDER BY 2 DESC;\n`,
    () =>
      `  // ${sentence(random, english).trim()}\n  const ${name()} = await ${name()}.${name()}({ ${name()}: 0x${random.int(0, 65_535).toString(16)}, ...rest });\n`,
    () => `<div class="${name()} ${name()}--${name()}" data-id="${random.int(1, 99_999)}">\n  <slot :${name()}="${name()}" />\n</div>\n`,
    () => `$ git log --oneline -${random.int(1, 9)} | grep -v "${name()}" && ./${name()}.sh --${name()}=${random.int(1, 99)}\n`,
  ])();
}

function record(random: Random, depth: number): Record<string, unknown> {
  const value = (): unknown =>
    random.pick<() => unknown>([
      () => random.int(0, 100_000),
      () => random.int(1, 999) / 10,
      () => random.chance(0.5),
      () => null,
      () => fill(random, '{what}'),
      () => fill(random, '{date}'),
      () => `${random.int(1, 0xffff).toString(16)}-${random.int(1, 0xffffff).toString(16)}`,
      () => (depth > 0 ? record(random, depth - 1) : []),
      () => Array.from({ length: random.int(0, 4) }, () => random.int(0, 999)),
    ])();
  return Object.fromEntries(Array.from({ length: random.int(2, 6) }, (_, i) => [`${fill(random, '{name}')}${i === 0 ? '' : i}`, value()]));
}
