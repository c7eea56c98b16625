/**
 * Paints a growing text into an element: settled blocks once, and only the last one again, at most once a frame. Works on elements
 * itself, since a framework's comparison of all of them would cost more with every word.
 */
import { openFence, settledLength, withoutHalfMark } from './blocks.ts';
import { blockStarts, type Env, sanitised, toHtml } from './markdown.ts';

export interface Words {
  newTab: string;
  copy: string;
  code: string;
}

type Highlight = typeof import('./highlight.ts').highlighted;
let highlight: Highlight | null = null;
/** Longer code stays plain: colours for it would hold up the page. */
const mostColoured = 30_000;
/** While code is still growing it is coloured with each piece, so only while that is cheap. */
const mostColouredOpen = 3_000;
/** Between two paintings of a last block that has grown dear passes so many times what one costs. */
const restFactor = 8;

export type Painter = ReturnType<typeof createPainter>;

export function createPainter(place: HTMLElement, words: Words) {
  let env: Env = {};
  let text = '';
  let isOver = false;
  let settled = 0;
  let tail: ChildNode[] = [];
  /** Of the open fence that is painted, if one is: more of it is only added. */
  let growing: { from: number; node: Text; length: number } | null = null;
  let frame = 0;
  let costMs = 0;
  let paintedAtMs = 0;

  function clear(): void {
    place.replaceChildren();
    [env, settled, tail, growing] = [{}, 0, [], null];
  }

  function replaceTail(fragment: DocumentFragment | null): void {
    for (const node of tail) node.remove();
    tail = fragment ? [...fragment.childNodes] : [];
    if (fragment) place.append(fragment);
  }

  function paint(): void {
    frame = 0;
    const begunMs = performance.now();
    const rest = text.slice(settled);
    const more = isOver ? rest.length : settledLength(rest, blockStarts);
    if (more > 0) {
      replaceTail(null);
      growing = null;
      place.append(elements(rest.slice(0, more), env, mostColoured));
      settled += more;
    }
    if (isOver) finish();
    else paintTail(text.slice(settled));
    paintedAtMs = performance.now();
    costMs = paintedAtMs - begunMs;
  }

  function paintTail(rest: string): void {
    const fence = openFence(rest);
    if (fence && fence.code.length > mostColouredOpen) {
      growFence(fence);
      return;
    }
    growing = null;
    // What half a text defines must not hold for the whole.
    replaceTail(elements(withoutHalfMark(rest), { ...env, references: { ...env.references } }, mostColouredOpen));
  }

  function growFence({ info, code }: { info: string; code: string }): void {
    if (growing?.from !== settled) {
      const fragment = elements(`\`\`\`${info}\n\`\`\``, {}, 0);
      const node = document.createTextNode('');
      fragment.querySelector('code')?.replaceChildren(node);
      replaceTail(fragment);
      growing = { from: settled, node, length: 0 };
    }
    growing.node.appendData(code.slice(growing.length));
    growing.length = code.length;
  }

  /** A link may be defined after it was used: then all of it is painted once more. */
  function finish(): void {
    if (Object.keys(env.references ?? {}).length === 0) return;
    const { references } = env;
    place.replaceChildren(elements(text, { references: { ...references } }, mostColoured));
  }

  function elements(source: string, own: Env, colouredLength: number): DocumentFragment {
    const fragment = sanitised(toHtml(source, own), words.newTab);
    for (const pre of fragment.querySelectorAll('pre')) frameCode(pre, colouredLength);
    return fragment;
  }

  function frameCode(pre: HTMLPreElement, colouredLength: number): void {
    const code = pre.querySelector('code');
    if (!code) return;
    const language = /language-(\S+)/.exec(code.className)?.[1] ?? '';
    if (language && (code.textContent ?? '').length <= colouredLength) colour(code, language);
    const frame = document.createElement('div');
    frame.className = 'code';
    const head = document.createElement('div');
    head.className = 'code__head';
    const name = document.createElement('span');
    name.textContent = language || words.code;
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'code__copy';
    button.textContent = words.copy;
    head.append(name, button);
    pre.tabIndex = 0;
    pre.replaceWith(frame);
    frame.append(head, pre);
  }

  function colour(code: HTMLElement, language: string): void {
    if (highlight) {
      const html = highlight(code.textContent ?? '', language);
      if (html !== null) code.replaceChildren(sanitised(html, words.newTab));
    } else
      void fetchHighlight().then((found) => {
        if (found && code.isConnected) colour(code, language);
      });
  }

  return {
    /** Shows the text; where it only grew, only what is new. */
    show(now: string, over: boolean): void {
      if (now === text && over === isOver) return;
      // Told from its beginning again: what stands there is what comes.
      if (now === '' && !over) return;
      if (!now.startsWith(text) || (isOver && !over)) clear();
      [text, isOver] = [now, over];
      if (over) {
        cancelAnimationFrame(frame);
        paint();
        return;
      }
      if (frame) return;
      const paintOrWait = () => {
        const isDear = costMs > 6 && performance.now() - paintedAtMs < costMs * restFactor;
        if (isDear) frame = requestAnimationFrame(paintOrWait);
        else paint();
      };
      frame = requestAnimationFrame(paintOrWait);
    },
    /** In other words of ours: all of it again. */
    again(other: Words): void {
      words = other;
      const whole = text;
      clear();
      text = '';
      this.show(whole, isOver);
    },
    end: () => cancelAnimationFrame(frame),
  };
}

/** Without the colours code is still code. */
const fetchHighlight = (): Promise<Highlight | null> =>
  import('./highlight.ts').then(
    (file) => {
      highlight = file.highlighted;
      return highlight;
    },
    () => null,
  );
