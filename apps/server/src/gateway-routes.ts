/** Which route of which provider a path is, to the letter; and which one a path means that is not quite right. */
import type { IncomingMessage } from 'node:http';
import { allProviders } from './providers/catalog.ts';
import type { Provider, Route } from './providers/provider.ts';

type Headers = IncomingMessage['headers'];

export interface Matched {
  provider: Provider;
  route: Route;
  path: string;
}

/** Every route of every provider, for those who must know them all. */
export const gatewayRoutes: readonly { provider: Provider; route: Route }[] = allProviders.flatMap((provider) =>
  provider.routes.map((route) => ({ provider, route })),
);

const methods = [...new Set(gatewayRoutes.map(({ route }) => route.method))];

function isTemplate({ path }: Route): boolean {
  return path.includes('{');
}

/** `POST /v1/messages` -> who has it, for nearly all that is asked; templates are gone through one by one. */
const exactRoutes: ReadonlyMap<string, readonly Matched[]> = Map.groupBy(
  gatewayRoutes.filter(({ route }) => !isTemplate(route)).map((one) => ({ ...one, path: one.route.path })),
  ({ route }) => `${route.method} ${route.path}`,
);
const templates = gatewayRoutes.filter(({ route }) => isTemplate(route));

/** The route for exactly this path; where two providers have it, the one whose marker the client sends, else the first without. */
export function matchRoute(method: string, pathname: string, headers: Headers): Matched | null {
  const found = exactRoutes.get(`${method} ${pathname}`) ?? filled(method, pathname);
  return (
    found.find(({ provider }) => provider.marker && headers[provider.marker] !== undefined) ??
    found.find(({ provider }) => !provider.marker) ??
    found[0] ??
    null
  );
}

function filled(method: string, pathname: string): Matched[] {
  return templates.flatMap(({ provider, route }) => {
    const path = route.method === method ? fill(route.path, pathname) : null;
    return path === null ? [] : [{ provider, route, path }];
  });
}

/** True for what an SDK asks for whose base URL lacks `/v1`, has it once too often or strays elsewhere. The gateway answers it, though not all of it is below /v1. */
export const isMisaddressed = (pathname: string, headers: Headers): boolean => meantBy(pathname, headers) !== null;

/** The provider whose route a misaddressed path means, by any method; null: the path is right, or means no route at all. */
export function meantBy(pathname: string, headers: Headers): Provider | null {
  const twice = pathname.startsWith('/v1/v1/');
  // Pages pass here too, and no route stands outside of /v1.
  if (!twice && pathname.startsWith('/v1/') && byAnyMethod(pathname, headers)) return null;
  const meant = byAnyMethod(twice ? pathname.slice('/v1'.length) : `/v1${pathname}`, headers) ?? strayed(pathname, headers);
  return meant?.provider ?? (twice ? (allProviders.find(({ sdkBase }) => sdkBase === '') ?? null) : null);
}

/** The route for a path, whatever the method. */
export const byAnyMethod = (path: string, headers: Headers): Matched | null =>
  methods.map((method) => matchRoute(method, path, headers)).find((one) => one !== null) ?? null;

/** An SDK's request below any other path, as a base URL with one piece too many makes it. Pages and REST carry no token, or are elsewhere. */
function strayed(pathname: string, headers: Headers): Matched | null {
  if (headers.authorization === undefined && headers['x-api-key'] === undefined) return null;
  const tail = tails.find((one) => pathname.endsWith(one));
  const before = tail && pathname.slice(0, -tail.length);
  if (before === undefined || /^\/(trpc|api\/v1\/.|api\/auth)/.test(before)) return null;
  return byAnyMethod(`/v1${tail}`, headers);
}

/** What stands behind `/v1` in the routes without ids, the longest first. */
const tails = [...exactRoutes.values()].map(([one]) => one?.path.slice('/v1'.length) ?? '').sort((a, b) => b.length - a.length);

/** The template with the path's own ids, checked and encoded anew; null: another path. */
function fill(template: string, pathname: string): string | null {
  const wanted = template.split('/');
  const given = pathname.split('/');
  if (wanted.length !== given.length) return null;
  const filled = wanted.map((segment, i) => (segment === '{id}' ? idOf(given[i] ?? '') : segment === given[i] ? segment : null));
  return filled.every((segment) => segment !== null) ? filled.join('/') : null;
}

const segmentPattern = /^[A-Za-z0-9._:-]{1,256}$/;

function idOf(segment: string): string | null {
  let id: string;
  try {
    id = decodeURIComponent(segment);
  } catch {
    return null;
  }
  return segmentPattern.test(id) && id !== '.' && id !== '..' ? encodeURIComponent(id) : null;
}
