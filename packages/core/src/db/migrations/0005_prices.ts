export const migration = {
  name: '0005_prices',
  sqlite: [
    "CREATE TABLE `price_override` (\n  `id` text PRIMARY KEY NOT NULL,\n  `provider` text NOT NULL,\n  `model` text NOT NULL,\n  `source` text NOT NULL,\n  `valid_from` integer NOT NULL,\n  `input` integer NOT NULL,\n  `cached_input` integer NOT NULL,\n  `cache_write` integer NOT NULL,\n  `cache_write_1h` integer NOT NULL,\n  `audio_input` integer NOT NULL,\n  `output` integer NOT NULL,\n  `audio_output` integer NOT NULL,\n  `tiers` text NOT NULL,\n  `actor` text NOT NULL,\n  `created_at` integer NOT NULL\n);\n",
    "CREATE UNIQUE INDEX `price_override_place` ON `price_override` (`provider`,`model`,`source`,`valid_from`);",
  ],
  postgres: [
    "CREATE TABLE \"price_override\" (\n  \"id\" text PRIMARY KEY NOT NULL,\n  \"provider\" text NOT NULL,\n  \"model\" text NOT NULL,\n  \"source\" text NOT NULL,\n  \"valid_from\" bigint NOT NULL,\n  \"input\" bigint NOT NULL,\n  \"cached_input\" bigint NOT NULL,\n  \"cache_write\" bigint NOT NULL,\n  \"cache_write_1h\" bigint NOT NULL,\n  \"audio_input\" bigint NOT NULL,\n  \"output\" bigint NOT NULL,\n  \"audio_output\" bigint NOT NULL,\n  \"tiers\" text NOT NULL,\n  \"actor\" text NOT NULL,\n  \"created_at\" bigint NOT NULL\n);\n",
    "CREATE UNIQUE INDEX \"price_override_place\" ON \"price_override\" USING btree (\"provider\",\"model\",\"source\",\"valid_from\");",
  ],
};
