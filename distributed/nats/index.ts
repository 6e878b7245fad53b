export { HostLostError, NoHostError } from './errors.js';
export type { Balance } from './hosts.js';
export { JetStreamLog } from './jetstream-log.js';
export type { JetStreamLogOptions } from './jetstream-log.js';
export { RemoteServing } from './remote-serving.js';
export type { RemoteServingOptions } from './remote-serving.js';
export { ServingHost } from './serving-host.js';
export type { HostedServing, ServingHostOptions } from './serving-host.js';
