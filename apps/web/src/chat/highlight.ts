/** Colours for code, in the languages that come up most. A file of its own: fetched when the first code is shown. */
import hljs from 'highlight.js/lib/core';
import bash from 'highlight.js/lib/languages/bash';
import css from 'highlight.js/lib/languages/css';
import diff from 'highlight.js/lib/languages/diff';
import go from 'highlight.js/lib/languages/go';
import java from 'highlight.js/lib/languages/java';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import markdown from 'highlight.js/lib/languages/markdown';
import python from 'highlight.js/lib/languages/python';
import rust from 'highlight.js/lib/languages/rust';
import sql from 'highlight.js/lib/languages/sql';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';

const languages = { bash, css, diff, go, java, javascript, json, markdown, python, rust, sql, typescript, xml, yaml };
for (const [name, grammar] of Object.entries(languages)) hljs.registerLanguage(name, grammar);
hljs.registerAliases(['vue', 'svelte'], { languageName: 'xml' });
hljs.registerAliases(['shell', 'console', 'shellsession'], { languageName: 'bash' });

/**
 * Where a grammar's cost grows with the square of something, or worse: very long lines, endless blank lines, and links in links. Nobody
 * would read colours in them.
 */
const isDear = (code: string): boolean => /[^\n]{1000}|(\n[ \t]*){100}|(\[[^[\]\n]*\]\([^[)\n]*){20}/.test(code);

/** @returns HTML; null: not a language that is known here, or a text that it would take too long for */
export function highlighted(code: string, language: string): string | null {
  return hljs.getLanguage(language) && !isDear(code) ? hljs.highlight(code, { language, ignoreIllegals: true }).value : null;
}
