import { OptionsError, RequestCollection, StoppedError } from 'batch-please';
import { TestClock } from 'batch-please/testing';
import { testServer, turns } from '../support/servers.js';

describe('RequestId', () => {
  test('is there at once; check looks without waiting', async () => {
    const { server } = await testServer();
    const id = server.sendRequest('x');
    expect(id.check()).toEqual({ kind: 'none' });
    expect(await id.wait()).toEqual({ kind: 'reply', reply: 'x 0' });
    expect(id.check()).toEqual({ kind: 'reply', reply: 'x 0' });
    expect(await id.receive(0)).toEqual({ kind: 'reply', reply: 'x 0' });
  });

  test('a request that the handler fails has the answer { kind: error }', async () => {
    const { server } = await testServer({
      handleBatch: (ops) => ops.forEach((op) => op.kind === 'call' && op.fail('no')),
    });
    expect(await server.sendRequest('x').wait()).toEqual({ kind: 'error', error: 'no' });
  });

  test('a server that has stopped shows when the answer is looked for', async () => {
    const { server } = await testServer();
    const waiting = server.sendRequest('later').wait();
    await server.stop('bye');
    expect(await waiting).toMatchObject({ kind: 'error', error: { reason: 'bye' } });
    expect(server.sendRequest('x').check()).toMatchObject({
      kind: 'error',
      error: expect.any(StoppedError) as unknown,
    });
  });

  test('after wait has timed out the request lives on', async () => {
    const { server, clock } = await testServer();
    const id = server.sendRequest('later');
    const first = id.wait(10);
    await clock.advance(10);
    expect(await first).toEqual({ kind: 'timeout' });
    const second = id.wait(10);
    server.kept[0]?.('at last');
    expect(await second).toEqual({ kind: 'reply', reply: 'at last' });
    expect(clock.pendingTimers).toBe(0);
  });

  test('after receive has timed out it is abandoned: a late reply vanishes without a trace', async () => {
    const { server, clock } = await testServer();
    const id = server.sendRequest('later');
    const other = id.wait();
    const first = id.receive(10);
    await clock.advance(10);
    expect(await first).toEqual({ kind: 'timeout' });
    expect(await other).toEqual({ kind: 'timeout' });
    expect(server.sys.statistics().unanswered).toBe(0);
    const traced: unknown[] = [];
    server.sys.trace((event) => traced.push(event));
    server.kept[0]?.('too late');
    expect(id.check()).toEqual({ kind: 'none' });
    expect(await id.wait()).toEqual({ kind: 'timeout' });
    expect(traced).toEqual([]);
  });

  test('a reply that is there when receive looks counts, however short its time', async () => {
    const { server } = await testServer();
    const id = server.sendRequest('x');
    await turns();
    expect(await id.receive(0)).toEqual({ kind: 'reply', reply: 'x 0' });
  });

  test('absolute times of the clock; one in the past looks once', async () => {
    const { server, clock } = await testServer();
    await clock.advance(100);
    const id = server.sendRequest('later');
    expect(await id.wait({ at: 99 })).toEqual({ kind: 'timeout' });
    expect(await id.wait(0)).toEqual({ kind: 'timeout' });
    let over = false;
    const waiting = id.wait({ at: 120 }).finally(() => (over = true));
    await clock.advance(19);
    expect(over).toBe(false);
    await clock.advance(1);
    expect(await waiting).toEqual({ kind: 'timeout' });
    expect(await id.receive({ at: -Infinity })).toEqual({ kind: 'timeout' });
  });

  test.each([-1, NaN, '5', null, {}, { at: '5' }, { at: NaN }])('a wrong timeout: %p', async (timeout) => {
    const { server } = await testServer();
    expect(() => server.sendRequest('x').wait(timeout as number)).toThrow(OptionsError);
    expect(() => new RequestCollection().wait(timeout as number)).toThrow(OptionsError);
  });
});

describe('RequestCollection', () => {
  test('answers come in their order, with their labels, and leave', async () => {
    const { server } = await testServer();
    const collection = new RequestCollection<string, string>();
    const [a, b, c] = [server.sendRequest('later'), server.sendRequest('later'), server.sendRequest('x')];
    collection.add(a, 'a').add(b, 'b').add(c, 'same').add(server.sendRequest('y'), 'same');
    expect(collection.size).toBe(4);
    expect([...collection.entries()].slice(0, 2)).toEqual([
      [a, 'a'],
      [b, 'b'],
    ]);
    expect(collection.check()).toEqual({ kind: 'none' });
    expect(await collection.wait()).toEqual({ kind: 'reply', reply: 'x 0', label: 'same' });
    expect(collection.check()).toEqual({ kind: 'reply', reply: 'y 0', label: 'same' });
    const next = collection.receive();
    server.kept[1]?.('second');
    server.kept[0]?.('first');
    expect(await next).toEqual({ kind: 'reply', reply: 'second', label: 'b' });
    expect(await collection.wait(5)).toEqual({ kind: 'reply', reply: 'first', label: 'a' });
    expect(collection.size).toBe(0);
    expect(await collection.wait()).toEqual({ kind: 'noRequest' });
    expect(await collection.receive(5)).toEqual({ kind: 'noRequest' });
    expect(collection.check()).toEqual({ kind: 'noRequest' });
  });

  test('delete: false keeps the request, whose answer is not returned again', async () => {
    const { server, clock } = await testServer();
    const collection = new RequestCollection<string, number>().add(server.sendRequest('x'), 1);
    expect(await collection.wait(Infinity, { delete: false })).toEqual({ kind: 'reply', reply: 'x 0', label: 1 });
    expect(collection.size).toBe(1);
    expect(collection.check({ delete: false })).toEqual({ kind: 'none' });
    const waiting = collection.wait(10);
    await clock.advance(10);
    expect(await waiting).toEqual({ kind: 'timeout' });
    expect(await collection.wait()).toEqual({ kind: 'noRequest' }); // or it would wait for ever
  });

  test('an id twice is an error, in another collection it is not', async () => {
    const { server } = await testServer();
    const id = server.sendRequest('x');
    const collection = new RequestCollection<string, number>().add(id, 1);
    expect(() => collection.add(id, 2)).toThrow(OptionsError);
    expect(() => collection.add({} as never, 2)).toThrow(OptionsError);
    const other = new RequestCollection<string, number>().add(id, 3);
    expect(await collection.wait()).toMatchObject({ label: 1 });
    expect(await other.wait()).toMatchObject({ label: 3 });
  });

  test('ids that were answered before they were added come in the order of their answers', async () => {
    const { server } = await testServer();
    const [a, b] = [server.sendRequest('later'), server.sendRequest('x')];
    await turns();
    server.kept[0]?.('late');
    const collection = new RequestCollection<string, string>().add(a, 'a').add(b, 'b');
    expect(collection.check()).toMatchObject({ label: 'b' });
    expect(collection.check()).toMatchObject({ label: 'a' });
  });

  test('a wait that times out leaves them alive, a receive abandons all', async () => {
    const { server, clock } = await testServer();
    const collection = new RequestCollection<string, number>();
    collection.add(server.sendRequest('later'), 1).add(server.sendRequest('later'), 2);
    const waiting = collection.wait(10);
    await clock.advance(10);
    expect(await waiting).toEqual({ kind: 'timeout' });
    expect(collection.size).toBe(2);
    const other = collection.wait();
    const receiving = collection.receive({ at: 15 });
    await clock.advance(5);
    expect(await receiving).toEqual({ kind: 'timeout' });
    expect(await other).toEqual({ kind: 'noRequest' });
    expect(collection.size).toBe(0);
    expect(server.sys.statistics().unanswered).toBe(0);
    server.kept.forEach((reply) => {
      reply('late');
    });
    expect(collection.check()).toEqual({ kind: 'noRequest' });
  });

  test('several who wait get an answer each; the last of them hears that there is no more', async () => {
    const { server } = await testServer();
    const collection = new RequestCollection<string, number>();
    collection.add(server.sendRequest('x'), 1).add(server.sendRequest('y'), 2);
    const answers = await Promise.all([collection.wait(), collection.wait(), collection.wait()]);
    expect(answers.map((answer) => ('label' in answer ? answer.label : answer.kind))).toEqual([1, 2, 'noRequest']);
  });

  test('one whose request was abandoned by itself is not waited for', async () => {
    const { server, clock } = await testServer();
    const id = server.sendRequest('later');
    const collection = new RequestCollection<string, number>().add(id, 1);
    const waiting = collection.wait();
    void id.receive(1);
    await clock.advance(1);
    expect(await waiting).toEqual({ kind: 'noRequest' });
  });

  test('servers may differ, and an end is an answer', async () => {
    const [one, two] = [await testServer(), await testServer({}, { clock: new TestClock() })];
    const collection = new RequestCollection<string, string>();
    collection.add(one.server.sendRequest('later'), 'one').add(two.server.sendRequest('later'), 'two');
    await two.server.stop();
    expect(await collection.wait()).toMatchObject({ kind: 'error', label: 'two' });
    await one.server.stop();
    expect(await collection.wait()).toMatchObject({ kind: 'error', label: 'one' });
  });
});
