/** What JSON weighs once it is parsed: some bytes of it become many, and whoever sends them chooses them. */

/** Two million lists, which take the event loop about a quarter of a second. */
export const maxJsonWeight = 128 * 1_048_576;
/** Smaller bodies are not worth weighing. */
const lightBytes = 16_384;
const [quote, backslash, open, openList, colon, comma] = Buffer.from('"\\{[:,') as unknown as number[];

/** About how many bytes JSON takes when it is parsed, its texts left out: of `[],[],[]` every three bytes become eighty. */
export function jsonWeight(json: Buffer): number {
  if (json.length < lightBytes) return 0;
  let weight = 0;
  let inText = false;
  for (let i = 0; i < json.length; i += 1) {
    const byte = json[i];
    if (byte === quote) inText = !inText;
    else if (inText) i += byte === backslash ? 1 : 0;
    else if (byte === open || byte === openList || byte === colon) weight += 64;
    else if (byte === comma) weight += 16;
  }
  return weight;
}
