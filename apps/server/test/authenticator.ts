/** A device with passkeys, as far as a server can see one: ES256, no attestation (WebAuthn, sections 6.1 and 6.5). */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

export interface AuthenticatorOptions {
  /** What the browser says of where it is. */
  origin?: string;
  rpId?: string;
  /** False: a device that asks nobody for a finger or a PIN. */
  verified?: boolean;
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest();
const [present, userVerified, attested] = [0x01, 0x04, 0x40];

/** CBOR (RFC 8949) of bytes up to 64 KiB, and of a text up to 23 characters. */
function cborBytes(bytes: Buffer): Buffer {
  const head =
    bytes.length < 24 ? [0x40 | bytes.length] : bytes.length < 256 ? [0x58, bytes.length] : [0x59, bytes.length >> 8, bytes.length & 255];
  return Buffer.concat([Buffer.from(head), bytes]);
}
const cborText = (text: string) => Buffer.concat([Buffer.from([0x60 | text.length]), Buffer.from(text)]);

export function authenticator({ origin = 'http://byok.test', rpId = 'byok.test', verified = true }: AuthenticatorOptions = {}) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const id = randomBytes(32);
  let counter = 0;

  function authData(more: Buffer = Buffer.alloc(0)): Buffer {
    counter += 1;
    const head = Buffer.alloc(5);
    head[0] = present | (verified ? userVerified : 0) | (more.length > 0 ? attested : 0);
    head.writeUInt32BE(counter, 1);
    return Buffer.concat([sha256(rpId), head, more]);
  }

  /** COSE_Key: EC2, ES256, P-256, x, y. */
  function coseKey(): Buffer {
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
    const [bx, by] = [Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')];
    return Buffer.concat([
      Buffer.from([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21]),
      cborBytes(bx),
      Buffer.from([0x22]),
      cborBytes(by),
    ]);
  }

  const clientData = (type: string, challenge: string) => Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false }));
  const named = { id: id.toString('base64url'), rawId: id.toString('base64url'), type: 'public-key' as const, clientExtensionResults: {} };

  return {
    id: named.id,
    /** What `navigator.credentials.create` gives. */
    create(challenge: string) {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(id.length);
      const data = authData(Buffer.concat([Buffer.alloc(16), length, id, coseKey()]));
      const attestation = Buffer.concat([
        Buffer.from([0xa3]),
        ...[cborText('fmt'), cborText('none'), cborText('attStmt'), Buffer.from([0xa0]), cborText('authData'), cborBytes(data)],
      ]);
      return {
        ...named,
        response: {
          clientDataJSON: clientData('webauthn.create', challenge).toString('base64url'),
          attestationObject: attestation.toString('base64url'),
          transports: ['internal' as const],
        },
      };
    },
    /** What `navigator.credentials.get` gives. */
    get(challenge: string) {
      const [data, client] = [authData(), clientData('webauthn.get', challenge)];
      return {
        ...named,
        response: {
          clientDataJSON: client.toString('base64url'),
          authenticatorData: data.toString('base64url'),
          signature: sign('sha256', Buffer.concat([data, sha256(client)]), privateKey).toString('base64url'),
        },
      };
    },
    /** As a copy of the device would count. */
    rewind(): void {
      counter = 0;
    },
  };
}
