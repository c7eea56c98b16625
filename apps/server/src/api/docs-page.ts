/** /api/docs: the OpenAPI description as a page to read, with no script at all. */
const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

export function docsPage(spec: unknown): string {
  const { paths } = spec as {
    paths: Record<string, Record<string, { summary: string; parameters?: unknown[]; requestBody?: unknown; responses: unknown }>>;
  };
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), ...operation })),
  );
  const block = (title: string, value: unknown) =>
    value === undefined || (Array.isArray(value) && value.length === 0)
      ? ''
      : `<h4>${title}</h4><pre>${escapeHtml(JSON.stringify(value, null, 2))}</pre>`;
  const sections = operations.map(
    (one) =>
      `<details><summary><b>${one.method}</b> <code>${escapeHtml(one.path)}</code> ${escapeHtml(one.summary)}</summary>${block('Parameters', one.parameters)}${block('Body', one.requestBody)}${block('Answers', one.responses)}</details>`,
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>API · SynthStack BYOK</title>
<link rel="icon" href="/favicon.svg"><link rel="stylesheet" href="/api/docs.css">
<main><h1>SynthStack BYOK API</h1><p>${operations.length} operations. Send <code>Authorization: Bearer &lt;jwt&gt;</code> (from <code>POST /api/v1/auth/token</code>) or an access token that you made in Settings (<code>byok_...</code>; below it is also called a gateway token) with the scope <code>manage</code>. The machine-readable form: <a href="/api/openapi.json">openapi.json</a>.</p>${sections.join('\n')}</main></html>`;
}

export const docsStyle = `:root{color-scheme:light dark;font-family:system-ui,sans-serif;line-height:1.5}main{max-width:60rem;margin:2rem auto;padding:0 1rem}details{border-top:1px solid #8884;padding:.6rem 0}summary{cursor:pointer}summary b{display:inline-block;width:5rem}pre{overflow:auto;background:#8881;padding:1rem;border-radius:.4rem;font-size:.85rem}`;
