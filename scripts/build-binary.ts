/** `npx --yes pnpm@12.21.0 build`: the pages, then dist/byok with all of it inside. */
import { buildBinary } from '../apps/server/scripts/binary.ts';
import { buildWeb } from './build-web.ts';

await buildWeb();
const { file, bytes } = await buildBinary();
process.stdout.write(`${file}\n`);
process.stderr.write(`${(bytes / 1_048_576).toFixed(1)} MB\n`);
