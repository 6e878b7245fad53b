export { BadItem } from './contract.js';
export type { Delivery, DurableLog, Source } from './contract.js';
export { collect } from './collect.js';
export type { Collecting, CollectOptions } from './collect.js';
export { Feed } from './feed.js';
export type { FeedCounts, FeedOptions, FeedTarget } from './feed-options.js';
export { encodeItem, errorText, packFrame, unpackFrame } from './frames.js';
export { outbox } from './outbox.js';
export type { OutboxOptions } from './outbox.js';
