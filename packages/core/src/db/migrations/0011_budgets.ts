export const migration = {
  name: '0011_budgets',
  sqlite: [
    "CREATE TABLE `budget` (\n  `owner` text NOT NULL,\n  `provider` text NOT NULL,\n  `position` integer NOT NULL,\n  `limit_nano_usd` integer NOT NULL,\n  `hard` integer NOT NULL,\n  `then_platform` integer DEFAULT false NOT NULL,\n  `period` integer NOT NULL,\n  `spent_nano_usd` integer DEFAULT 0 NOT NULL,\n  `reserved_nano_usd` integer DEFAULT 0 NOT NULL,\n  `updated_at` integer NOT NULL,\n  PRIMARY KEY(`owner`, `provider`, `position`)\n);\n",
    "CREATE TABLE `reservation` (\n  `request_id` integer PRIMARY KEY NOT NULL,\n  `boot_id` text NOT NULL,\n  `owner` text NOT NULL,\n  `provider` text NOT NULL,\n  `position` integer NOT NULL,\n  `period` integer NOT NULL,\n  `amount_nano_usd` integer NOT NULL\n);\n",
    "CREATE INDEX `reservation_place` ON `reservation` (`owner`,`provider`,`position`);",
    "CREATE TABLE `fallback_cap` (\n  `user_id` text PRIMARY KEY NOT NULL,\n  `per_day` integer NOT NULL,\n  `updated_at` integer NOT NULL,\n  FOREIGN KEY (`user_id`) REFERENCES `user`(`id`) ON UPDATE no action ON DELETE cascade\n);\n",
    "ALTER TABLE `provider_key` ADD `name` text;",
    "ALTER TABLE `provider_key` ADD `rank` integer DEFAULT 0 NOT NULL;",
    "ALTER TABLE `provider_key` ADD `models` text;",
  ],
  postgres: [
    "CREATE TABLE \"budget\" (\n  \"owner\" text NOT NULL,\n  \"provider\" text NOT NULL,\n  \"position\" bigint NOT NULL,\n  \"limit_nano_usd\" bigint NOT NULL,\n  \"hard\" boolean NOT NULL,\n  \"then_platform\" boolean DEFAULT false NOT NULL,\n  \"period\" bigint NOT NULL,\n  \"spent_nano_usd\" bigint DEFAULT 0 NOT NULL,\n  \"reserved_nano_usd\" bigint DEFAULT 0 NOT NULL,\n  \"updated_at\" bigint NOT NULL,\n  CONSTRAINT \"budget_owner_provider_position_pk\" PRIMARY KEY(\"owner\",\"provider\",\"position\")\n);\n",
    "CREATE TABLE \"reservation\" (\n  \"request_id\" bigint PRIMARY KEY NOT NULL,\n  \"boot_id\" text NOT NULL,\n  \"owner\" text NOT NULL,\n  \"provider\" text NOT NULL,\n  \"position\" bigint NOT NULL,\n  \"period\" bigint NOT NULL,\n  \"amount_nano_usd\" bigint NOT NULL\n);\n",
    "CREATE TABLE \"fallback_cap\" (\n  \"user_id\" text PRIMARY KEY NOT NULL,\n  \"per_day\" bigint NOT NULL,\n  \"updated_at\" bigint NOT NULL\n);\n",
    "ALTER TABLE \"provider_key\" ADD COLUMN \"name\" text;",
    "ALTER TABLE \"provider_key\" ADD COLUMN \"rank\" bigint DEFAULT 0 NOT NULL;",
    "ALTER TABLE \"provider_key\" ADD COLUMN \"models\" text;",
    "ALTER TABLE \"fallback_cap\" ADD CONSTRAINT \"fallback_cap_user_id_user_id_fk\" FOREIGN KEY (\"user_id\") REFERENCES \"public\".\"user\"(\"id\") ON DELETE cascade ON UPDATE no action;",
    "CREATE INDEX \"reservation_place\" ON \"reservation\" USING btree (\"owner\",\"provider\",\"position\");",
  ],
};
