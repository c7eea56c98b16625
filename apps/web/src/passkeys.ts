/** The browser's side of passkeys: options of the server in, what a device says to them out. */

/** Browsers keep passkeys for names only, not for an address of numbers, and only where the connection is safe. */
export const canUsePasskeys = (): boolean =>
  window.isSecureContext &&
  !/^[\d.]+$|^\[/.test(location.hostname) &&
  typeof PublicKeyCredential === 'function' &&
  typeof PublicKeyCredential.parseCreationOptionsFromJSON === 'function';

/** Makes one. Rejects where the person does not want to, or the device has one already. */
export async function newPasskey(options: Record<string, unknown>): Promise<unknown> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options as unknown as PublicKeyCredentialCreationOptionsJSON);
  return jsonOf(await navigator.credentials.create({ publicKey }));
}

/** Asks for one. Rejects where the person does not want to, or has none. */
export async function passkeyAnswer(options: Record<string, unknown>): Promise<unknown> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options as unknown as PublicKeyCredentialRequestOptionsJSON);
  return jsonOf(await navigator.credentials.get({ publicKey }));
}

/** The person let it go by, or it took too long: browsers do not tell which. */
export const isDeclined = (error: unknown): boolean => error instanceof DOMException && /^(NotAllowed|Abort)Error$/.test(error.name);
/** This device has a passkey for this account. */
export const isThereAlready = (error: unknown): boolean => error instanceof DOMException && error.name === 'InvalidStateError';

const jsonOf = (made: Credential | null): unknown => (made as PublicKeyCredential | null)?.toJSON();
