/** The size of an image inside a request, from its first bytes: providers bill images by it. PNG, JPEG, GIF and WebP. */

export interface Size {
  width: number;
  height: number;
}

/** What is taken where nobody can say: an image behind an address, or of a kind that we do not read. */
export const usualSize: Size = { width: 1_024, height: 1_024 };

/** @param url  a `data:` address or any other */
export function sizeOfUrl(url: string): Size {
  const start = url.startsWith('data:') ? url.indexOf(';base64,') : -1;
  return start === -1 ? usualSize : sizeOfBase64(url.slice(start + ';base64,'.length, start + maxLetters));
}

export function sizeOfBase64(base64: string): Size {
  const bytes = Buffer.from(base64.slice(0, maxLetters), 'base64');
  const size = readPng(bytes) ?? readGif(bytes) ?? readWebp(bytes) ?? readJpeg(bytes);
  return size && size.width > 0 && size.height > 0 ? size : usualSize;
}

/** Photographs carry a preview and a colour profile before they say how large they are. */
const maxLetters = 262_144;

function readPng(bytes: Buffer): Size | null {
  if (bytes.length < 24 || bytes.readUInt32BE(0) !== 0x89504e47) return null;
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}

function readGif(bytes: Buffer): Size | null {
  if (bytes.length < 10 || bytes.toString('latin1', 0, 3) !== 'GIF') return null;
  return { width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) };
}

/** RFC 9649: lossy, lossless and extended files say it in three ways. */
function readWebp(bytes: Buffer): Size | null {
  if (bytes.length < 30 || bytes.toString('latin1', 8, 12) !== 'WEBP') return null;
  switch (bytes.toString('latin1', 12, 16)) {
    case 'VP8 ':
      return { width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff };
    case 'VP8L': {
      const bits = bytes.readUInt32LE(21);
      return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case 'VP8X':
      return { width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1 };
    default:
      return null;
  }
}

/** A JPEG is a row of segments; the one that begins a frame names its size. */
function readJpeg(bytes: Buffer): Size | null {
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0xffd8) return null;
  for (let at = 2; at + 9 <= bytes.length; at += 2 + bytes.readUInt16BE(at + 2)) {
    const marker = bytes[at + 1] ?? 0;
    if (bytes[at] !== 0xff) return null;
    const beginsFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (beginsFrame) return { width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5) };
  }
  return null;
}
