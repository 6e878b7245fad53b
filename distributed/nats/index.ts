export { JetStreamLog } from './jetstream-log.js';
export type { JetStreamLogOptions } from './jetstream-log.js';
