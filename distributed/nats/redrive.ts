import { AckPolicy, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import { headersOf } from './connection.js';
import { deadOf, partitionOf } from './streams.js';

/** Moves at most `max` of the dead letters that are there now back into the log. Resolves to their number. */
export async function redrive(
  manager: JetStreamManager,
  client: JetStreamClient,
  name: string,
  max: number,
): Promise<number> {
  const dead = deadOf(name);
  await manager.consumers.add(dead, {
    durable_name: 'redrive',
    ack_policy: AckPolicy.Explicit,
    max_ack_pending: 1000,
  });
  const consumer = await client.consumers.get(dead, 'redrive');
  // An item that fails again meanwhile comes back here, and would circulate for ever.
  const most = Math.min(max, (await manager.streams.info(dead)).state.messages);
  let moved = 0;
  while (moved < most) {
    const before = moved;
    for await (const message of await consumer.fetch({ max_messages: Math.min(100, most - moved), expires: 1000 })) {
      // As it is: what could not be decoded must come back as the same line.
      await client.publish(`bp.${name}.${partitionOf(message)}`, message.data, {
        msgID: `${message.headers?.get('Bp-Id') ?? dead}~${message.seq}`,
        headers: headersOf({ 'Bp-Count': 1 }),
      });
      await message.ackAck();
      await manager.streams.deleteMessage(dead, message.seq, false);
      moved++;
    }
    if (moved === before) break;
  }
  return moved;
}
