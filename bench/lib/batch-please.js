// What is measured is what is published: the build, not the sources.
export * from '../../dist/esm/src/index.js';
export * from '../../dist/esm/collectors/index.js';
export { TestClock } from '../../dist/esm/src/testing.js';
