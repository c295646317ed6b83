import { defineConfig } from 'vitest/config';

/** What measures how long traffic was away, and would find its neighbours' load in that. */
const TIMED = ['test/netns/*-outage*.test.ts', 'test/netns/relay-attack.test.ts'];

/**
 * Which folders of `test/` belong to which project. Only `unit` runs without root. The groups run
 * one after the other: what watches the real kernel's clock should not share two cores with fuzzing.
 * Inside of a group, files run beside each other as far as `maxWorkers` says (Vitest by itself would
 * leave one of two cores idle). Those that use namespaces mostly wait, for daemons that start and for
 * the kernel; what a namespace has is in nobody else's way.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          sequence: { groupOrder: 1 },
          include: ['test/{unit,vectors,simulation,fuzz,architecture}/**/*.test.ts'],
          maxWorkers: '100%',
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
          exclude: TIMED,
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'interop',
          sequence: { groupOrder: 3 },
          include: ['test/interop/**/*.test.ts'],
          maxWorkers: 2,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'timed',
          sequence: { groupOrder: 4 },
          include: TIMED,
          fileParallelism: false,
          testTimeout: 60_000,
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
