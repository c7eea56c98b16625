/**
 * The page's Content-Security-Policy forbids eval. zod would try it once to see, and the browser would report that as an attack:
 * this tells zod beforehand (the same as `z.config({ jitless: true })`, which would come too late for schemas already declared).
 */
Object.assign(globalThis, { __zod_globalConfig: { jitless: true } });
