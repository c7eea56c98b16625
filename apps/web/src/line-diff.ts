/** What differs between two texts, line by line: the fewest lines that go and come. */

export interface Change {
  kind: 'same' | 'gone' | 'new';
  lines: string[];
}

/** Cells of the table; beyond, the differing middle is shown as gone and new, whole. */
const mostCells = 4_000_000;

export function lineDiff(before: string, after: string): Change[] {
  const [a, b] = [linesOf(before), linesOf(after)];
  const start = commonLength(a, b);
  const end = commonLength(a.slice(start).reverse(), b.slice(start).reverse());
  const [goneLines, newLines] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  const changes: Change[] = [];
  const add = (kind: Change['kind'], ...lines: string[]) => {
    const last = changes.at(-1);
    if (lines.length === 0) return;
    if (last?.kind === kind) last.lines.push(...lines);
    else changes.push({ kind, lines });
  };
  add('same', ...a.slice(0, start));
  if (goneLines.length * newLines.length > mostCells) {
    add('gone', ...goneLines);
    add('new', ...newLines);
  } else walk(goneLines, newLines, add);
  add('same', ...a.slice(a.length - end));
  return changes;
}

/** Along the longest common subsequence. */
function walk(a: readonly string[], b: readonly string[], add: (kind: Change['kind'], line: string) => void): void {
  const width = b.length + 1;
  const longest = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number) => longest[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      longest[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const [gone, fresh] = [a[i], b[j]];
    if (gone !== undefined && gone === fresh) {
      add('same', gone);
      i += 1;
      j += 1;
    } else if (gone !== undefined && (fresh === undefined || at(i + 1, j) >= at(i, j + 1))) {
      add('gone', gone);
      i += 1;
    } else if (fresh !== undefined) {
      add('new', fresh);
      j += 1;
    }
  }
}

const linesOf = (text: string): string[] => (text === '' ? [] : text.split(/\r?\n/));

function commonLength(a: readonly string[], b: readonly string[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length += 1;
  return length;
}
