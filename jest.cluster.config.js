import base from './jest.config.js';

/** @type {import('jest').Config} */
export default {
  ...base,
  // Clusters of three servers, and runs of a minute: too long for every commit.
  testMatch: ['<rootDir>/test/**/*.cluster.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  testTimeout: 300_000,
};
