import base from './jest.config.js';

/** @type {import('jest').Config} */
export default {
  ...base,
  // Other runtimes, bundlers and compilers, which are installed first: too long for every commit.
  testMatch: ['<rootDir>/test/**/*.everywhere.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  testTimeout: 600_000,
};
