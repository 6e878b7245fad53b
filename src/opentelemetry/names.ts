/**
 * Every name that is sent, by the semantic conventions: `messaging.*` and `error.*` where they have one; times in seconds;
 * units in curly brackets for counts.
 */
export const SCOPE = 'batch-please';
export const SYSTEM = 'batch_please';

/** Names of the metrics. */
export const METRIC = {
  batchSize: 'batch_please.batch.size',
  duration: 'batch_please.flush.duration',
  attempts: 'batch_please.flush.attempts',
  pending: 'batch_please.items.pending',
  waiting: 'batch_please.items.waiting',
  items: 'batch_please.items',
  oldest: 'batch_please.items.oldest_age',
} as const;

/** Names of the attributes of metrics and spans. */
export const ATTRIBUTE = {
  system: 'messaging.system',
  destination: 'messaging.destination.name',
  operation: 'messaging.operation.name',
  operationType: 'messaging.operation.type',
  batchSize: 'messaging.batch.message_count',
  error: 'error.type',
  outcome: 'batch_please.outcome',
  reason: 'batch_please.batch.reason',
  id: 'batch_please.batch.id',
  attempt: 'batch_please.batch.attempt',
} as const;
