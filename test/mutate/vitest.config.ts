import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { include: process.env.WEFT_MUTATE_TESTS?.split('\n') ?? [], testTimeout: 30_000, pool: 'forks' },
});
