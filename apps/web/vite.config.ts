import { quasar } from '@quasar/vite-plugin';
import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vite';

/** `vite` (the development server) passes calls on to a server started beside it; that one wants PUBLIC_URL=http://localhost:5173. */
const server = process.env.SERVER_URL ?? 'http://127.0.0.1:3000';

export default defineConfig({
  plugins: [vue(), quasar({ sassVariables: false })],
  define: {
    __VUE_OPTIONS_API__: 'true',
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
    },
  },
  server: { proxy: { '/trpc': server, '/api': server, '/v1': server } },
});
