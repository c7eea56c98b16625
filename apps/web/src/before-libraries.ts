/** What libraries look for while they are loaded: imported before all of them. */

/**
 * The page's Content-Security-Policy forbids eval. zod would try it once to see, and the browser would report that as an attack:
 * this tells zod beforehand (the same as `z.config({ jitless: true })`, which would come too late for schemas already declared).
 */
Object.assign(globalThis, { __zod_globalConfig: { jitless: true } });

// vue-router parses the scroll positions that it kept in this tab, also where there are none yet, and catches its error. For where an
// error comes from, V8 parses the whole file once more: a quarter of the time that the first file takes.
try {
  sessionStorage['vue-router:scroll'] ??= '{}';
} catch {}
