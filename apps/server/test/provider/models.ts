/**
 * The models that the scripted provider lists, and the snapshot that answers for an alias: those of the tables, and every other one that our
 * own catalog shows with a price, so that what people see can be asked for.
 */
import { providers } from '../../src/providers/catalog.ts';

/** id, created (Unix seconds), owner, the snapshot that answers ('' = itself). */
const openaiTable: readonly (readonly [string, number, string, string])[] = [
  ['gpt-4', 1687882411, 'openai', 'gpt-4-0613'],
  ['gpt-4-0613', 1686588896, 'openai', ''],
  ['gpt-4-turbo', 1712361441, 'system', 'gpt-4-turbo-2024-04-09'],
  ['gpt-4-turbo-2024-04-09', 1712601677, 'system', ''],
  ['gpt-3.5-turbo', 1677610602, 'openai', 'gpt-3.5-turbo-0125'],
  ['gpt-3.5-turbo-0125', 1706048358, 'system', ''],
  ['gpt-3.5-turbo-instruct', 1692901427, 'system', 'gpt-3.5-turbo-instruct:20230824-v2'],
  ['gpt-4o', 1715367049, 'system', 'gpt-4o-2024-08-06'],
  ['gpt-4o-2024-08-06', 1722814719, 'system', ''],
  ['gpt-4o-mini', 1721172741, 'system', 'gpt-4o-mini-2024-07-18'],
  ['gpt-4o-mini-2024-07-18', 1721172717, 'system', ''],
  ['gpt-4.1', 1744316542, 'system', 'gpt-4.1-2025-04-14'],
  ['gpt-4.1-mini', 1744318173, 'system', 'gpt-4.1-mini-2025-04-14'],
  ['gpt-4.1-nano', 1744321707, 'system', 'gpt-4.1-nano-2025-04-14'],
  ['o3', 1744225308, 'system', 'o3-2025-04-16'],
  ['o4-mini', 1744225351, 'system', 'o4-mini-2025-04-16'],
  ['gpt-5', 1754425777, 'system', 'gpt-5-2025-08-07'],
  ['gpt-5-2025-08-07', 1754075360, 'system', ''],
  ['gpt-5-mini', 1754425928, 'system', 'gpt-5-mini-2025-08-07'],
  ['gpt-5-nano', 1754426384, 'system', 'gpt-5-nano-2025-08-07'],
  ['gpt-5.1', 1762800673, 'system', 'gpt-5.1-2025-11-13'],
  ['gpt-5.2', 1765313051, 'system', 'gpt-5.2-2025-12-11'],
  ['text-embedding-3-small', 1705948997, 'system', ''],
  ['text-embedding-3-large', 1705953180, 'system', ''],
  ['text-embedding-ada-002', 1671217299, 'openai-internal', 'text-embedding-ada-002-v2'],
  ['omni-moderation-latest', 1731689265, 'system', ''],
  ['gpt-image-1', 1745517030, 'system', ''],
  ['dall-e-3', 1698785189, 'system', ''],
  ['tts-1', 1681940951, 'openai-internal', ''],
  ['gpt-4o-mini-tts', 1742403959, 'system', ''],
  ['whisper-1', 1677532384, 'openai-internal', ''],
  ['gpt-4o-transcribe', 1742068463, 'system', ''],
  ['gpt-4o-mini-transcribe', 1742068596, 'system', ''],
];

/** Made up: nobody looks at when they came. */
const openaiPriced = providers.openai.models
  .filter((id) => !openaiTable.some(([known, , , snapshot]) => id === known || id === snapshot))
  .map((id) => [id, 1_780_272_000, 'system', ''] as const);
const openaiAll = [...openaiTable, ...openaiPriced];

export const openaiModels = new Map(openaiAll.map(([id, created, owned_by]) => [id, { id, object: 'model', created, owned_by }]));
const snapshots = new Map(openaiAll.map(([id, , , snapshot]) => [id, snapshot || id]));
for (const snapshot of [...snapshots.values()]) snapshots.set(snapshot, snapshot);

/** The name under which OpenAI answers; `undefined`: no such model. */
export function openaiSnapshot(model: string): string | undefined {
  return snapshots.get(model);
}

/** id, name, released, window, output limit, lifecycle; newest first, as the API lists them. */
const anthropicTable: readonly (readonly [string, string, string, number, number, 'active' | 'deprecated'])[] = [
  ['claude-opus-5-5', 'Claude Opus 5.5', '2026-09-22T00:00:00Z', 1_000_000, 128_000, 'active'],
  ['claude-sonnet-5-5', 'Claude Sonnet 5.5', '2026-09-22T00:00:00Z', 1_000_000, 128_000, 'active'],
  ['claude-haiku-5-5', 'Claude Haiku 5.5', '2026-09-22T00:00:00Z', 200_000, 64_000, 'active'],
  ['claude-sonnet-4-6', 'Claude Sonnet 4.6', '2026-02-17T00:00:00Z', 200_000, 64_000, 'active'],
  ['claude-opus-4-5-20251101', 'Claude Opus 4.5', '2025-11-24T00:00:00Z', 200_000, 64_000, 'active'],
  ['claude-haiku-4-5-20251001', 'Claude Haiku 4.5', '2025-10-15T00:00:00Z', 200_000, 64_000, 'active'],
  ['claude-sonnet-4-5-20250929', 'Claude Sonnet 4.5', '2025-09-29T00:00:00Z', 200_000, 64_000, 'active'],
  ['claude-opus-4-1-20250805', 'Claude Opus 4.1', '2025-08-05T00:00:00Z', 200_000, 32_000, 'deprecated'],
  ['claude-opus-4-20250514', 'Claude Opus 4', '2025-05-22T00:00:00Z', 200_000, 32_000, 'deprecated'],
  ['claude-sonnet-4-20250514', 'Claude Sonnet 4', '2025-05-22T00:00:00Z', 200_000, 64_000, 'deprecated'],
  ['claude-3-5-sonnet-20241022', 'Claude Sonnet 3.5 (New)', '2024-10-22T00:00:00Z', 200_000, 8_192, 'deprecated'],
  ['claude-3-5-haiku-20241022', 'Claude Haiku 3.5', '2024-10-22T00:00:00Z', 200_000, 8_192, 'deprecated'],
  ['claude-3-haiku-20240307', 'Claude Haiku 3', '2024-03-07T00:00:00Z', 200_000, 4_096, 'deprecated'],
  ['claude-3-opus-20240229', 'Claude Opus 3', '2024-02-29T00:00:00Z', 200_000, 4_096, 'deprecated'],
  ['claude-3-sonnet-20240229', 'Claude Sonnet 3', '2024-02-29T00:00:00Z', 200_000, 4_096, 'deprecated'],
];

const bareName = (id: string): string => id.replace(/-\d{8}$/, '').replace(/-0$/, '');
/** The API itself gives the epoch where it does not know when a model came. */
const anthropicPriced = providers.anthropic.models
  .filter((id) => !anthropicTable.some(([known]) => bareName(known) === bareName(id)))
  .map((id) => [id, displayName(id), '1970-01-01T00:00:00Z', 200_000, 64_000, 'active'] as const);

/** `claude-opus-4-8` is Claude Opus 4.8. */
function displayName(id: string): string {
  const [family = '', line = '', ...version] = id.split('-');
  return `${[family, line].map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join(' ')} ${version.join('.')}`;
}

export const anthropicModels = new Map(
  [...anthropicTable, ...anthropicPriced].map(([id, display_name, created_at, max_input_tokens, max_tokens, lifecycle]) => [
    id,
    {
      type: 'model',
      id,
      display_name,
      created_at,
      max_input_tokens,
      max_tokens,
      lifecycle,
      line: /haiku|sonnet|opus/.exec(id)?.[0] ?? null,
      deprecated_at: null,
      retires_at: null,
      capabilities: null,
    },
  ]),
);

const anthropicAliases = new Map<string, string>();
for (const id of anthropicModels.keys()) {
  const bare = id.replace(/-\d{8}$/, '');
  anthropicAliases.set(id, id);
  for (const alias of [bare, `${bare}-latest`, `${bare}-0`]) if (!anthropicAliases.has(alias)) anthropicAliases.set(alias, id);
}

/** The dated id under which Anthropic answers; `undefined`: no such model. */
export function anthropicSnapshot(model: string): string | undefined {
  return anthropicAliases.get(model);
}
