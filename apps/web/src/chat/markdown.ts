/**
 * Model output as elements. It is untrusted text: raw HTML stays text, images become links, and whatever markdown-it makes of it goes
 * through a sanitiser with a short list before it reaches the page. Nothing here carries a style: the page's policy forbids those.
 */
import DOMPurify from 'dompurify';
import MarkdownIt from 'markdown-it';

const md = new MarkdownIt({ html: false, linkify: true });
/** What one text defines on its way: link references, and whether it had a heading. */
export type Env = NonNullable<Parameters<typeof md.render>[1]> & { hasHeading?: boolean };

const { escapeHtml } = md.utils;

/** markdown-it's own check leaves any scheme but the worst; here only these lead anywhere. */
const schemes = /^(https?:|mailto:)/i;
md.validateLink = (url) => schemes.test(url.trim());

md.renderer.rules.image = (tokens, index) => {
  const token = tokens[index];
  const source = String(token?.attrGet('src') ?? '');
  return `<a href="${escapeHtml(source)}">${escapeHtml(token?.content || source)}</a>`;
};

const language = /^[\w+#.-]{1,30}/;
const code = (text: string, info: string) => {
  const name = language.exec(info.trim())?.[0].toLowerCase();
  return `<pre><code${name ? ` class="language-${name}"` : ''}>${escapeHtml(text)}</code></pre>\n`;
};
md.renderer.rules.fence = (tokens, index) => code(tokens[index]?.content ?? '', tokens[index]?.info ?? '');
md.renderer.rules.code_block = (tokens, index) => code(tokens[index]?.content ?? '', '');

/**
 * Below the page's own headings, and never a level left out: a text's first heading is a third level whatever its model called it. `env`
 * is the text's own.
 */
md.renderer.rules.heading_open = (tokens, index, _options, env = {}) => {
  const token = tokens[index];
  const said = Number(token?.tag.slice(1));
  const level = said > 2 && env.hasHeading ? 4 : 3;
  env.hasHeading = true;
  for (let i = index; token && i < tokens.length; i += 1) {
    const other = tokens[i];
    if (other?.type !== 'heading_close') continue;
    other.tag = `h${level}`;
    break;
  }
  return `<h${level} class="text__h${Math.min(said, 4)}">`;
};
md.renderer.rules.table_open = () => '<div class="text__table"><table>\n';
md.renderer.rules.table_close = () => '</table></div>\n';
/** A column's alignment comes as a style, which the policy forbids. */
for (const cell of ['th_open', 'td_open'] as const) {
  md.renderer.rules[cell] = (tokens, index) => {
    const side = /(right|center)/.exec(String(tokens[index]?.attrGet('style') ?? ''))?.[1];
    return `<${cell.slice(0, 2)}${side ? ` class="text__${side}"` : ''}>`;
  };
}

const purify = {
  ALLOWED_TAGS: [
    ...['p', 'br', 'hr', 'strong', 'em', 's', 'code', 'pre', 'a', 'ul', 'ol', 'li', 'blockquote', 'h3', 'h4'],
    ...['table', 'thead', 'tbody', 'tr', 'th', 'td', 'span', 'div', '#text'],
  ],
  ALLOWED_ATTR: ['href', 'class', 'start'],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true as const,
};

/** HTML that code of ours made of untrusted text, as elements. Links open elsewhere and tell nobody where they were. */
export function sanitised(html: string, newTab: string): DocumentFragment {
  const fragment = DOMPurify.sanitize(html, purify);
  for (const link of fragment.querySelectorAll('a')) {
    if (!schemes.test(link.getAttribute('href') ?? '')) link.removeAttribute('href');
    link.target = '_blank';
    link.rel = 'noopener noreferrer nofollow';
    const note = document.createElement('span');
    note.className = 'sr-only';
    note.textContent = ` ${newTab}`;
    link.append(note);
  }
  return fragment;
}

/** @param env  gets what the text defines */
export const toHtml = (text: string, env: Env): string => md.render(text, env);

/** The line with which each block of the outermost level begins, in order. */
export function blockStarts(text: string): number[] {
  const tokens: ReturnType<typeof md.parse> = [];
  md.block.parse(text, md, {}, tokens);
  return tokens.flatMap(({ level, nesting, map }) => (level === 0 && nesting >= 0 && map ? [map[0]] : []));
}
