import { connect, type NatsConnection } from '@nats-io/transport-node';
import { BatchServing } from '../../src/index.js';
import { gate, type Gate } from '../../src/testing.js';
import { RemoteServing, ServingHost } from '../../distributed/nats/index.js';
import { describeWithServer, startServers, type Servers } from './support/server.js';
import { until } from './support/time.js';

type Handled = Gate<[readonly number[]], readonly number[]>;

// A server is a real process, so that it has no clock of ours; handlers answer when the test lets them.
describeWithServer('pack', () => {
  let servers: Servers;
  let connection: NatsConnection;
  const close: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    servers = await startServers();
    connection = await connect({ servers: servers.urls });
  });
  afterEach(async () => {
    for (const one of close.splice(0).reverse()) await one();
  });
  afterAll(async () => {
    await connection.close();
    await servers.stop();
  });

  /** Executes at most four values at a time. */
  const host = async (name: string, id: string, weight = 1): Promise<Handled> => {
    const handled: Handled = gate();
    const serving = new BatchServing<number, number>({
      batchSize: 4,
      batchTimeout: 0,
      handleBatch: (values) => handled(values),
    });
    const hosting = new ServingHost({ connection, name, id, serving, weight });
    await hosting.open();
    close.push(async () => {
      handled.openAll([0, 0, 0, 0]);
      await hosting.close({ timeout: 1000 });
    });
    return handled;
  };

  const caller = async (name: string, hosts: number): Promise<RemoteServing<number, number>> => {
    // The hosts live in this process, which may stand still for a while: none of them is lost.
    const remote = new RemoteServing<number, number>({ connection, name, batchSize: 4, probeTimeout: 60_000 });
    close.push(() => remote.close({ timeout: 1000 }));
    await until('the hosts are known', () => remote.hosts.length === hosts);
    return remote;
  };

  /** Lets the host answer the call that it has had longest. */
  const answer = async (host: Handled | undefined, call: Promise<number[]>): Promise<void> => {
    await until('the host has it', () => (host?.waiting ?? 0) > 0);
    host?.open([1, 2, 3, 4]);
    expect(await call).toHaveLength(4);
  };

  const loads = (remote: RemoteServing<number, number>): string =>
    remote.hosts.map(({ id, pending }) => `${id}${pending}`).join(' ');

  test('four full calls over three hosts: the fourth waits where an answer is due next, so that no host is idle', async () => {
    const hosts = await Promise.all(['a', 'b', 'c'].map((id) => host('due', id)));
    const remote = await caller('due', 3);
    const order = remote.hosts.map(({ id }) => id);
    const handled = (at: number): Handled | undefined => hosts['abc'.indexOf(order[at] ?? '')];
    const full = (): Promise<number[]> => remote.dispatchMany([1, 2, 3, 4]);
    const calls = [full(), full(), full()];
    await until('each has one', () => remote.hosts.every(({ pending }) => pending === 4));
    // The first host begins anew; the second and the third have worked for longer.
    await answer(handled(0), calls[0] as Promise<number[]>);
    calls.push(full(), full());
    await until('all is sent', () => remote.hosts.reduce((sum, { pending }) => sum + pending, 0) === 16);
    expect(loads(remote)).toBe(`${order[0]}4 ${order[1]}8 ${order[2]}4`);
    await answer(handled(1), calls[1] as Promise<number[]>);
    calls.push(full());
    await until('all is sent', () => remote.hosts.reduce((sum, { pending }) => sum + pending, 0) === 16);
    expect(loads(remote)).toBe(`${order[0]}4 ${order[1]}4 ${order[2]}8`);
    for (const one of hosts) one.openAll([1, 2, 3, 4]);
    await Promise.all(calls);
  });

  test('2 + 2 = 4: a call fills the batch that one host has begun, and what does not fit begins one elsewhere', async () => {
    const hosts = await Promise.all(['a', 'b'].map((id) => host('fill', id)));
    const remote = await caller('fill', 2);
    // Both have executed a full batch, so that their size is known.
    const first = [remote.dispatchMany([1, 2, 3, 4]), remote.dispatchMany([1, 2, 3, 4])] as const;
    await Promise.all(hosts.map((handled) => until('the host has it', () => handled.waiting === 1)));
    for (const handled of hosts) handled.open([1, 2, 3, 4]);
    await Promise.all(first);
    const send = (count: number): Promise<number[]> => remote.dispatchMany([1, 2, 3].slice(0, count));
    const placed = (expected: string): Promise<void> =>
      until(`the hosts have ${expected} values`, () => {
        const sizes = remote.hosts.map(({ pending }) => pending).sort();
        return sizes.join(' and ') === expected;
      });
    const running = (): Handled | undefined => hosts.find(({ waiting }) => waiting > 0);
    const calls = [send(2)];
    await until('it runs', () => running() !== undefined);
    calls.push(send(2));
    await placed('0 and 4');
    running()?.open([1, 2]);
    await calls[0];
    // The host that has just answered has begun a batch of 2, which is the place for 2 more.
    calls.push(send(2));
    await placed('0 and 4');
    calls.push(send(3));
    await placed('3 and 4');
    for (const handled of hosts) handled.openAll([1, 2]);
    await Promise.allSettled(calls);
  });

  test('a host that joins later, and has executed nothing, gets the next full call', async () => {
    const old = await host('joins', 'old');
    const remote = await caller('joins', 1);
    const first = remote.dispatchMany([1, 2, 3, 4]);
    await answer(old, first);
    const second = remote.dispatchMany([1, 2, 3, 4]);
    const young = await host('joins', 'young');
    await until('it is known', () => remote.hosts.length === 2);
    const third = remote.dispatchMany([1, 2, 3, 4]);
    await answer(young, third);
    await answer(old, second);
  });

  test('twice the weight, twice the work: of six full calls a host of weight 2 gets four', async () => {
    const hosts = await Promise.all([host('weights', 'light', 1), host('weights', 'heavy', 2)]);
    const remote = await caller('weights', 2);
    const calls = Array.from({ length: 6 }, () => remote.dispatchMany([1, 2, 3, 4]));
    await until('all is sent', () => remote.hosts.reduce((sum, { pending }) => sum + pending, 0) === 24);
    expect(loads(remote).split(' ').sort()).toEqual(['heavy16', 'light8']);
    for (const handled of hosts) handled.openAll([1, 2, 3, 4]);
    await Promise.all(calls);
  });
});
