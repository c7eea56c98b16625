/** The files of the built pages: from the folder where vite put them, or from inside the single binary. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { getAssetKeys, getRawAsset, isSea } from 'node:sea';

/** @returns bytes by name from the folder (`assets/index-abc.js`); none if it is not there */
export function readFiles(folder: string): Map<string, Buffer> {
  if (isSea()) return new Map(namesInBinary().map((name) => [name, Buffer.from(getRawAsset(prefix + name))]));
  return new Map(namesIn(folder).map((name) => [name, readFileSync(join(folder, name))]));
}

const prefix = 'web/';

const namesInBinary = (): string[] =>
  getAssetKeys()
    .filter((key) => key.startsWith(prefix))
    .map((key) => key.slice(prefix.length));

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true })
      .map((file) => String(file).replaceAll('\\', '/'))
      .filter((file) => statSync(join(folder, file)).isFile());
  } catch {
    return [];
  }
}
