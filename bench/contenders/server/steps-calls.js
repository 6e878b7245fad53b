import { closedLoop } from '../../lib/callers.js';
import { judge } from '../../lib/sink.js';

// The floor with parts of what the contract of a call needs, to see what each costs.

let resolve;
let reject;
const capture = (first, second) => {
  resolve = first;
  reject = second;
};

/** Two functions of its own, which a copy made by a spread keeps. */
class WithFunctions {
  kind = 'call';
  constructor(server, request) {
    const [toCaller, toCatch] = [resolve, reject];
    this.request = request;
    this.reply = (value) => toCaller(value);
    this.fail = (error) => toCatch(error);
  }
}

/** The first answer counts, also if it is a promise; a timeout, a signal or a stop may reject the caller; those who wait are counted. */
class WithState {
  kind = 'call';
  request;
  reply;
  fail;
  #server;
  #timeout = 5000;
  #resolve = resolve;
  #reject = reject;
  #waits = true;
  #answered = false;
  #deadline = undefined;
  #signal = undefined;
  constructor(server, request) {
    this.request = request;
    this.#server = server;
    server.waiting++;
    this.reply = (value) => {
      if (this.#answered) return;
      this.#answered = true;
      if (typeof value?.then === 'function') this.#settleLater(value);
      else this.#settle(value);
    };
    this.fail = (error) => {
      if (this.#answered) return;
      this.#answered = true;
      this.refuse(error);
    };
  }
  get deadline() {
    return this.#deadline ?? this.#timeout;
  }
  refuse(error) {
    if (this.#leave()) this.#reject(error);
  }
  #settle(value) {
    if (this.#leave()) this.#resolve(value);
  }
  async #settleLater(promise) {
    try {
      this.#settle(await promise);
    } catch (error) {
      this.refuse(error);
    }
  }
  #leave() {
    if (!this.#waits) return false;
    this.#waits = false;
    this.#signal?.removeEventListener('abort', this.reply);
    this.#server.left(this.#deadline);
    return true;
  }
}

class Floor {
  waiting = 0;
  inHeap = 0;
  #mailbox = [];
  #scheduled = false;
  #handle;
  #Call;
  #drain = () => {
    this.#scheduled = false;
    const calls = this.#mailbox;
    this.#mailbox = [];
    this.#handle(calls);
  };
  constructor(Call, handle) {
    this.#Call = Call;
    this.#handle = handle;
  }
  call(request) {
    const promise = new Promise(capture);
    this.#mailbox.push(new this.#Call(this, request));
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#drain);
    }
    return promise;
  }
  left(deadline) {
    this.waiting--;
    if (deadline !== undefined) this.inHeap--;
  }
}

export async function run({ n, callers, step }, meter) {
  const server = new Floor(step === 'functions' ? WithFunctions : WithState, (calls) => {
    for (const call of calls) call.reply(call.request * 2);
  });
  meter.start();
  const answers = await closedLoop({ n, callers }, (value) => server.call(value));
  meter.stop();
  return judge({ expected: n, ...answers }, { rate: n / (meter.wall / 1e9) });
}
