export * from './browser.js';
export { toWritable } from './writable.js';
