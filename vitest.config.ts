import { defineConfig } from 'vitest/config';

/**
 * Which folders of `test/` belong to which project. Only `unit` runs without root. The groups run
 * one after the other: what watches the real kernel's clock should not share two cores with fuzzing.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          sequence: { groupOrder: 1 },
          include: ['test/{unit,vectors,simulation,fuzz,architecture}/**/*.test.ts'],
          // For a slow machine that does other things too: a test that hangs is found all the same.
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'native',
          sequence: { groupOrder: 2 },
          include: ['test/native/**/*.test.ts'],
          fileParallelism: false,
          pool: 'forks',
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'netns',
          sequence: { groupOrder: 3 },
          include: ['test/netns/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'interop',
          sequence: { groupOrder: 4 },
          include: ['test/interop/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        // Takes minutes, and only `npm run test:long` runs it.
        test: {
          name: 'long',
          sequence: { groupOrder: 5 },
          include: ['test/long/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
