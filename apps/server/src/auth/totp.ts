/** Codes from a clock and a shared secret: RFC 6238 with SHA-1, six digits, half a minute, as every authenticator app knows it. */
import { createHmac, timingSafeEqual } from 'node:crypto';

const stepMs = 30_000;
const digits = 6;
/** 160 bits, as long as SHA-1's output (RFC 4226, section 4). */
export const secretBytes = 20;

export const stepAt = (ms: number): number => Math.floor(ms / stepMs);

/** RFC 4226, section 5.3. */
export function codeAt(secret: Buffer, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', secret).update(counter).digest();
  const offset = (mac[mac.length - 1] ?? 0) & 0x0f;
  const number = mac.readUInt32BE(offset) & 0x7f_ff_ff_ff;
  return String(number % 10 ** digits).padStart(digits, '0');
}

/** @returns the step whose code it is: this one, the one before or the one after; null: none of them */
export function matchingStep(secret: Buffer, code: string, nowMs: number): number | null {
  const given = Buffer.from(code);
  const now = stepAt(nowMs);
  // All three are computed, so that the time says nothing.
  const found = [now - 1, now, now + 1].filter((step) => {
    const right = Buffer.from(codeAt(secret, step));
    return given.length === right.length && timingSafeEqual(given, right);
  });
  return found[0] ?? null;
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** RFC 4648 without padding, as apps take it. */
export function base32(bytes: Uint8Array): string {
  let [text, bits, held] = ['', 0, 0];
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xff_ff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet[(held >> bits) & 31];
    }
  }
  return bits > 0 ? text + alphabet[(held << (5 - bits)) & 31] : text;
}

/** What the square shows: https://github.com/google/google-authenticator/wiki/Key-Uri-Format */
export function otpAuthUri({ secret, issuer, email }: { secret: string; issuer: string; email: string }): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(email)}`;
  return `otpauth://totp/${label}?secret=${secret}&issuer=${encodeURIComponent(issuer)}&algorithm=SHA1&digits=${digits}&period=${stepMs / 1_000}`;
}
