/** OpenAI's published encodings, for texts that strangers choose: a count takes time that grows with the length, and lets others have their turn. */
import { setImmediate } from 'node:timers/promises';

export type EncodingName = 'cl100k_base' | 'o200k_base';

/**
 * How many tokens the texts are, each by itself.
 * @param encoding  loaded when first needed: they take 50 MB, and only cut answers need them
 */
export async function countTexts(texts: readonly string[], encoding: EncodingName): Promise<number> {
  const all = texts.reduce((sum, text) => sum + text.length, 0);
  if (all === 0) return 0;
  const { count, forget } = await load(encoding);
  let tokens = 0;
  let counted = 0;
  let sinceTurn = 0;
  for (const text of texts) {
    for (let at = 0; at < text.length && counted < maxCounted; at += turnLength) {
      const piece = text.slice(at, at + Math.min(turnLength, maxCounted - counted));
      // Others have their turn in between: a text may be as long as a body, and so may a list of short ones.
      if (sinceTurn + piece.length > turnLength) {
        await setImmediate();
        sinceTurn = 0;
      }
      tokens += count(piece);
      counted += piece.length;
      sinceTurn += piece.length + callLength;
    }
  }
  forget();
  return Math.round((tokens * all) / counted);
}

async function load(encoding: EncodingName): Promise<{ count(text: string): number; forget(): void }> {
  const { countTokens, clearMergeCache } = await (encoding === 'cl100k_base'
    ? import('gpt-tokenizer/encoding/cl100k_base')
    : import('gpt-tokenizer/encoding/o200k_base'));
  return {
    count(text) {
      let tokens = 0;
      // What looks like a special token is only text here.
      for (const part of text.split(longRun)) if (part !== '') tokens += countTokens(part, { disallowedSpecial: new Set() });
      return tokens;
    },
    // The library remembers 100,000 words, and each, being a part of it, keeps the whole text in memory in which it stood.
    forget: clearMergeCache,
  };
}

/** What is longer is taken to go on as it began. */
const maxCounted = 1_048_576;
/** Some milliseconds' worth. */
const turnLength = 16_384;
/** Each text costs as much as these characters, however short it is. */
const callLength = 16;
/**
 * A word takes time by the square of its length, and whoever sends a text chooses its words: longer ones are counted in pieces. Line ends
 * that follow punctuation belong to its word, and in o200k slashes between them too.
 */
const longRun = /([\p{L}\p{M}]{64}|(?:[^\s\p{L}\p{N}]|[\r\n]){64}|\s{64})/u;
