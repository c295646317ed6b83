import { defineConfig } from 'vitest/config';

/** Which folders of `test/` belong to which project. Only `unit` runs without root. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/{unit,vectors,simulation,fuzz,architecture}/**/*.test.ts'],
        },
      },
      {
        test: {
          name: 'native',
          include: ['test/native/**/*.test.ts'],
          fileParallelism: false,
          pool: 'forks',
        },
      },
      {
        test: {
          name: 'netns',
          include: ['test/netns/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'interop',
          include: ['test/interop/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
