/**
 * Makes a copy of index.html for each page, which names the files of that page as well: a browser then asks for all of them at once, not
 * for the page's own only after the script of all pages has come and run. For /settings/tokens the server has settings/tokens.html.
 */
import type { Plugin } from 'vite';

/** Counts what is not read, on the bell of every page that needs a session. */
const bell = 'components/UnreadCount.vue';

const agents = ['components/AgentsFrame.vue', 'i18n/en/chat.ts'];

/** Under each path, its parts in src/ as routes.ts has them. `_` stands for any last part of a path. */
const pages: Readonly<Record<string, readonly string[]>> = {
  setup: ['pages/SetUpPage.vue'],
  'sign-in': ['pages/SignInPage.vue'],
  'sign-up': ['pages/SignUpPage.vue'],
  'settings/api-keys': ['pages/KeysPage.vue', bell],
  'settings/api-keys/usage': ['pages/UsagePage.vue', 'i18n/en/usage.ts', bell],
  'settings/tokens': ['pages/TokensPage.vue', bell],
  'settings/plan': ['pages/PlanPage.vue', bell],
  'settings/profile': ['pages/ProfilePage.vue', 'i18n/en/profile.ts', bell],
  agents: [...agents, 'pages/AgentsPage.vue', bell],
  'agents/_': [...agents, 'pages/ChatPage.vue', bell],
  'chat/_': [...agents, 'pages/ChatPage.vue', 'components/AnswerText.vue', bell],
};

type Bundle = Parameters<Extract<Plugin['generateBundle'], (...args: never[]) => unknown>>[1];

export function pageFiles(): Plugin {
  return {
    name: 'page-files',
    apply: 'build',
    // After vite's own, which writes index.html.
    enforce: 'post',
    generateBundle(_options, bundle) {
      const index = bundle['index.html'];
      if (index?.type !== 'asset') throw new Error('There is no index.html to copy.');
      const html = String(index.source);
      for (const [path, parts] of Object.entries(pages)) {
        const files = new Set(parts.flatMap((part) => filesOf(part, bundle)));
        const links = [...files].filter((file) => !html.includes(file)).map(linkTo);
        this.emitFile({ type: 'asset', fileName: `${path}.html`, source: html.replace('  </head>', `${links.join('')}  </head>`) });
      }
    },
  };
}

/** The script that a part is in, all that this one imports, and their styles. */
function filesOf(part: string, bundle: Bundle): string[] {
  const first = Object.values(bundle).find((one) => one.type === 'chunk' && one.facadeModuleId?.endsWith(`/src/${part}`));
  if (!first) throw new Error(`No script is made of ${part}.`);
  const files = new Set<string>();
  const add = (file: string): void => {
    const chunk = bundle[file];
    if (files.has(file) || chunk?.type !== 'chunk') return;
    files.add(file);
    for (const style of chunk.viteMetadata?.importedCss ?? []) files.add(style);
    chunk.imports.forEach(add);
  };
  add(first.fileName);
  return [...files];
}

const linkTo = (file: string): string =>
  file.endsWith('.css')
    ? `    <link rel="preload" as="style" crossorigin href="/${file}">\n`
    : `    <link rel="modulepreload" crossorigin href="/${file}">\n`;
