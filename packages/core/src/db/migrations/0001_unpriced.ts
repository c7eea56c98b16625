export const migration = {
  name: '0001_unpriced',
  sqlite: [
    "CREATE INDEX `request_unpriced` ON `request` (`provider`,`model`,`id`) WHERE cost_nano_usd is null and total_tokens is not null and model is not null and state <> 'open';",
  ],
  postgres: [
    "CREATE INDEX \"request_unpriced\" ON \"request\" USING btree (\"provider\",\"model\",\"id\") WHERE cost_nano_usd is null and total_tokens is not null and model is not null and state <> 'open';",
  ],
};
