/** Where a provider may be: decided by the operator alone, and never by a request. */

/**
 * What is wrong with a provider's base URL, as a sentence for the operator; null: nothing.
 * @param ownOrigins  where this server itself is reached: pointing a provider there would be an endless loop
 */
export function baseUrlMistake(url: string, ...ownOrigins: string[]): string | null {
  const parsedUrl = URL.parse(url);
  if (!parsedUrl || (parsedUrl.protocol !== 'https:' && parsedUrl.protocol !== 'http:')) {
    return 'This is not a web address: write it as https://host/v1.';
  }
  if (parsedUrl.username || parsedUrl.password) return 'A base URL holds no user name or password: keys are set on their own.';
  if (parsedUrl.search || parsedUrl.hash) return 'A base URL has no question mark and no number sign: write only https://host/path.';
  if (parsedUrl.protocol === 'http:' && !isLoopback(parsedUrl.hostname)) {
    return 'http:// would send keys unencrypted: use https:// (http:// is only for this machine itself, as http://127.0.0.1:8080).';
  }
  if (isSamePlace(parsedUrl, ...ownOrigins)) {
    return "This is the address of this very server, which would call itself without end: use the provider's own address.";
  }
  return null;
}

/** Whether a server that is reached at these origins is reached at `url` too. */
export function isSamePlace(url: URL, ...ownOrigins: string[]): boolean {
  return ownOrigins.some((own) => {
    const other = URL.parse(own);
    if (!other) return false;
    if (url.origin === other.origin) return true;
    return portOf(url) === portOf(other) && isThisMachine(url.hostname) && isThisMachine(other.hostname);
  });
}

export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** A server that listens on all addresses is also reached on the loopback ones. */
function isThisMachine(hostname: string): boolean {
  return isLoopback(hostname) || hostname === '0.0.0.0' || hostname === '[::]';
}

function portOf(url: URL): string {
  return url.port || (url.protocol === 'https:' ? '443' : '80');
}
