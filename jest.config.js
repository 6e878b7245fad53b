import { availableParallelism } from 'node:os';

const long = process.env['LONG'] === '1';

/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  // Nothing here is timed: a slow machine gets the time it needs.
  testTimeout: 60_000,
  // A worker of a busy machine takes longer to end than half a second, and is no leak.
  workerGracefulExitTimeout: 30_000,
  // The default leaves one core unused, which is half of a machine with two. Long tests wait for processes, browsers and
  // databases for a third of their time. Jest takes a percentage above 100 for a number of workers.
  maxWorkers: Math.ceil(availableParallelism() * (long ? 1.5 : 1)),
  testSequencer: './test/support/longest-first.mjs',
  // `npm run test:long` runs the long lives, `npm test` everything else.
  testMatch: [long ? '<rootDir>/test/**/*.long.test.ts' : '<rootDir>/test/**/!(*.long|*.cluster|*.everywhere).test.ts'],
  // `dist` holds two more package.json files, and what a test leaves in `.data` is none of jest's business.
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.data/'],
  moduleNameMapper: {
    // The sources name the files they become (`./x.js`); under jest they are still `./x.ts`.
    '^(\\.{1,2}/.*)\\.js$': '$1',
    '^batch-please$': '<rootDir>/src/index.ts',
    '^batch-please/collectors$': '<rootDir>/collectors/index.ts',
    '^batch-please/collectors/(memory|file|keyed)$': '<rootDir>/collectors/$1-batcher.ts',
    '^batch-please/distributed$': '<rootDir>/distributed/index.ts',
    '^batch-please/nats$': '<rootDir>/distributed/nats/index.ts',
    '^batch-please/(streams|opentelemetry)$': '<rootDir>/src/$1/index.ts',
    '^batch-please/testing$': '<rootDir>/src/testing.ts',
  },
  transform: {
    // Laid over the project's tsconfig. Types are checked once, by `npm run typecheck`, instead of by every test file.
    '^.+\\.ts$': ['ts-jest', { tsconfig: { module: 'commonjs', verbatimModuleSyntax: false } }],
  },
};
