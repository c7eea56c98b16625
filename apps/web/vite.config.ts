import { quasar } from '@quasar/vite-plugin';
import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vite';
import { pageFiles } from './page-files.ts';
import { pageModules } from './page-modules.ts';

/** `vite` (the development server) passes calls on to a server started beside it; that one wants PUBLIC_URL=http://localhost:5173. */
const server = process.env.SERVER_URL ?? 'http://127.0.0.1:3000';

/** What several pages have in common, but for fields, dialogs, and zod: those are large, and not every page has them. */
const smallParts =
  /[\\/]core[\\/]src[\\/](tiers|contracts[\\/]bounds)|[\\/]quasar[\\/]src[\\/](components[\\/]toggle|.*focus-manager)|[\\/]web[\\/]src[\\/](composables|[a-z-]+\.ts|components[\\/](?!\w*(Dialog|TextField|Frame|Form)))/;

/** Of what several pages have in common, that which most have not: Settings and Administration both show usage, and keys their history. */
const ofFewPages = [
  {
    name: 'usage',
    test: /[\\/]web[\\/]src[\\/](components[\\/]Usage|usage-|composables[\\/]useUsage(View|Requests)?\.)|[\\/]quasar[\\/]src[\\/]components[\\/]btn-(toggle|group)/,
    minShareCount: 2,
  },
  {
    name: 'office',
    test: /[\\/]web[\\/]src[\\/](composables[\\/]use(Admin|Audit)|components[\\/](Audit|DayField|HistoryPages)|key-history|composables[\\/]useKeyHistory)/,
    minShareCount: 2,
  },
];
const isSmallPart = (id: string): boolean => smallParts.test(id) && !ofFewPages.some(({ test }) => test.test(id));

export default defineConfig({
  plugins: [vue(), quasar({ sassVariables: false }), pageFiles(), pageModules()],
  define: {
    __VUE_OPTIONS_API__: 'false',
    __VUE_PROD_DEVTOOLS__: 'false',
  },
  css: { preprocessorOptions: { sass: { silenceDeprecations: ['import', 'global-builtin', 'if-function'] } } },
  build: {
    target: 'es2022',
    // The Content-Security-Policy allows no inline script, and every browser of the target knows modulepreload.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rolldownOptions: {
      treeshake: {
        // The contracts only declare: a schema that no page uses takes zod's share of it along.
        moduleSideEffects: [{ test: /packages\/core\/src\//, sideEffects: false }],
        manualPureFunctions: ['z'],
      },
      output: {
        // Few files: without HTTP/2 a browser fetches six at a time, and on a slow network each turn takes longer than what is in it.
        codeSplitting: {
          groups: [
            { name: 'start', tags: ['$initial'], priority: 1 },
            // Before those of few pages, which would take along what they need of it.
            { name: 'parts', test: isSmallPart, minShareCount: 2, priority: 0.5 },
            ...ofFewPages,
          ],
        },
      },
    },
  },
  server: { proxy: { '/trpc': server, '/api': server, '/v1': server } },
});
