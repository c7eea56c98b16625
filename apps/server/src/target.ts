/** What a request asks for, as it was sent: never tidied up, so that `/v1/../x` stays an address of nothing. */
export interface Target {
  pathname: string;
  /** With its question mark, or ''. */
  search: string;
  searchParams: URLSearchParams;
}

export function targetOf(url: string): Target {
  const at = url.indexOf('?');
  const search = at === -1 ? '' : url.slice(at);
  return { pathname: at === -1 ? url : url.slice(0, at), search, searchParams: new URLSearchParams(search) };
}
