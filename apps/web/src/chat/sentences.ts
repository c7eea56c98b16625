/** What a screen reader says of an answer that is being written: whole sentences, never pieces of words, and no signs of Markdown. */

/** @returns the sentences that are complete in `text` from `from` on, and where they end */
export function completeSentences(text: string, from: number, isOver: boolean): { said: string[]; until: number } {
  const rest = text.slice(from);
  const ends = [...rest.matchAll(/[.!?…:]["')\]]*\s|\n{2,}|\n(?=[ \t]*([-*+]|\d+[.)])\s)/g)];
  const last = ends.at(-1);
  const until = isOver ? rest.length : last ? last.index + last[0].length : 0;
  // Code is not for the ear: a fence that is still open waits for its end.
  const fences = [...rest.slice(0, until).matchAll(/^ {0,3}(`{3,}|~{3,})/gm)];
  const open = !isOver && fences.length % 2 === 1 ? (fences.at(-1)?.index ?? until) : until;
  const said = rest
    .slice(0, open)
    .replace(/^ {0,3}(`{3,}|~{3,})[^\n]*\n[\s\S]*?(^ {0,3}\1[^\n]*$|$(?![\s\S]))/gm, '\n')
    .split(/(?<=[.!?…:]["')\]]*)\s+|\n+/)
    .map(plain)
    .filter((sentence) => /[\p{L}\p{N}]/u.test(sentence));
  return { said, until: from + open };
}

function plain(text: string): string {
  return (
    text
      // No longer than links are: each bracket that nothing closes would be sought to the end.
      .replace(/!?\[([^\]]{0,300})\]\([^)]{0,1000}\)/g, '$1')
      .replace(/^\s*(#{1,6}|>|[-*+]|\d+[.)])\s+/, '')
      .replace(/[*`~]+/g, '')
      .replace(/_+/g, (run, at, all) => (isInWord(all, at, run.length) ? run : ''))
      .replaceAll('|', ' ')
      .replace(/\s+/g, ' ')
      .trim()
  );
}

const wordMark = /[\p{L}\p{N}]/u;
/** As in `snake_case`. */
const isInWord = (text: string, at: number, length: number): boolean =>
  wordMark.test(text[at - 1] ?? '') && wordMark.test(text[at + length] ?? '');
