/** A provider was asked for plain bytes (`accept-encoding: identity`) and may compress all the same: a bounded copy is opened to be read. */
import { promisify } from 'node:util';
import { brotliDecompress, constants, unzip } from 'node:zlib';

type Headers = Record<string, string | string[]>;

const maxBytes = 64 * 1_048_576;
const unzipped = promisify(unzip);
const unbrotlied = promisify(brotliDecompress);

export function isEncoded(headers: Headers): boolean {
  const encoding = headers['content-encoding'];
  return encoding !== undefined && encoding !== '' && encoding !== 'identity';
}

/** @returns the plain bytes, also of a piece that was cut; null: another encoding, damaged, or too large */
export async function decoded(bytes: Buffer, headers: Headers): Promise<Buffer | null> {
  try {
    switch (headers['content-encoding']) {
      case 'gzip':
      case 'x-gzip':
      case 'deflate':
        return await unzipped(bytes, { maxOutputLength: maxBytes, finishFlush: constants.Z_SYNC_FLUSH });
      case 'br':
        return await unbrotlied(bytes, { maxOutputLength: maxBytes, finishFlush: constants.BROTLI_OPERATION_FLUSH });
      default:
        return null;
    }
  } catch {
    return null;
  }
}
