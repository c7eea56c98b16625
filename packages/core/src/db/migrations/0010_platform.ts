export const migration = {
  name: '0010_platform',
  sqlite: [
    "CREATE TABLE `usage_day_block` (\n  `day` integer PRIMARY KEY NOT NULL,\n  `builder` text NOT NULL,\n  `built_at` integer,\n  `kinds` text NOT NULL,\n  `places` blob NOT NULL,\n  `sums` blob NOT NULL,\n  `day_sums` blob NOT NULL\n);\n",
    "CREATE TABLE `usage_people_block` (\n  `day` integer NOT NULL,\n  `source` text NOT NULL,\n  `builder` text NOT NULL,\n  `built_at` integer,\n  `people` blob NOT NULL,\n  `requests` blob NOT NULL,\n  `total_tokens` blob NOT NULL,\n  `cost_nano_usd` blob NOT NULL,\n  PRIMARY KEY(`day`, `source`)\n);\n",
    "CREATE TABLE `usage_person` (\n  `number` integer PRIMARY KEY NOT NULL,\n  `user_id` text NOT NULL\n);\n",
    "CREATE UNIQUE INDEX `usage_person_user_id_unique` ON `usage_person` (`user_id`);",
  ],
  postgres: [
    "CREATE TABLE \"usage_day_block\" (\n  \"day\" bigint PRIMARY KEY NOT NULL,\n  \"builder\" text NOT NULL,\n  \"built_at\" bigint,\n  \"kinds\" text NOT NULL,\n  \"places\" \"bytea\" NOT NULL,\n  \"sums\" \"bytea\" NOT NULL,\n  \"day_sums\" \"bytea\" NOT NULL\n);\n",
    "CREATE TABLE \"usage_people_block\" (\n  \"day\" bigint NOT NULL,\n  \"source\" text NOT NULL,\n  \"builder\" text NOT NULL,\n  \"built_at\" bigint,\n  \"people\" \"bytea\" NOT NULL,\n  \"requests\" \"bytea\" NOT NULL,\n  \"total_tokens\" \"bytea\" NOT NULL,\n  \"cost_nano_usd\" \"bytea\" NOT NULL,\n  CONSTRAINT \"usage_people_block_day_source_pk\" PRIMARY KEY(\"day\",\"source\")\n);\n",
    "CREATE TABLE \"usage_person\" (\n  \"number\" bigint PRIMARY KEY NOT NULL,\n  \"user_id\" text NOT NULL,\n  CONSTRAINT \"usage_person_user_id_unique\" UNIQUE(\"user_id\")\n);\n",
  ],
};
