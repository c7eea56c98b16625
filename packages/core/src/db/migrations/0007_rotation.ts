export const migration = {
  name: '0007_rotation',
  sqlite: [
    "ALTER TABLE `boot` ADD `seals_with` text DEFAULT '' NOT NULL;",
  ],
  postgres: [
    "ALTER TABLE \"boot\" ADD COLUMN \"seals_with\" text DEFAULT '' NOT NULL;",
  ],
};
