// Runs in a worker thread. scripts/embed-thread.mjs copies it into thread-source.ts, so that no bundler and no path loses
// it. A module, as --import has no effect on threads that run a script.
import Module from 'node:module';
import { fileURLToPath } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';

const { url, init, key } = workerData;

/** The module; loaded at the first batch, and again if that failed. */
let loading;
/** The state of this thread's partition; made before the first batch, and again if that failed. */
let making;
/** Batches that run, by number. */
const running = new Map();

parentPort.on('message', (message) => {
  if ('abort' in message) running.get(message.id)?.abort(decode(message.abort));
  else void run(message);
});

/** With the key of this thread: the module may use the port, too. */
function post(message) {
  parentPort.postMessage({ ...message, key });
}

async function run({ id, context, values, remaining }) {
  const size = values.length; // the handler may empty the list
  const controller = new AbortController();
  running.set(id, controller);
  let answer;
  try {
    const module = await once(loading ?? (loading = load()), () => (loading = undefined));
    post({ id, started: true });
    const state = await once(making ?? (making = makeState(module)), () => (making = undefined));
    const hooks = hooksOf(id, context.hooks, size);
    const deadline = performance.now() + remaining;
    const own = { ...context, state, hooks, deadline, signal: controller.signal };
    answer = answerOf(id, await settled(await module.handleBatch(values, own)));
  } catch (error) {
    answer = { id, error: encode(error) };
  }
  running.delete(id);
  try {
    post(answer);
  } catch (error) {
    post(withoutUncloneable(answer, error));
  }
}

async function once(promise, forget) {
  try {
    return await promise;
  } catch (error) {
    forget();
    throw error;
  }
}

async function load() {
  const module = await loadModule();
  const of = (name) => module[name] ?? module.default?.[name];
  if (typeof of('handleBatch') !== 'function') throw new TypeError(`${url} exports no function handleBatch`);
  return { handleBatch: of('handleBatch'), init: of('init') };
}

async function loadModule() {
  // A loader for TypeScript (tsx, ts-node) may have its hook for require() in threads, and none for import().
  if (/^file:[^?#]*\.[cm]?tsx?([?#]|$)/.test(url) && Module._extensions['.ts'] !== undefined) {
    return Module.createRequire(url)(fileURLToPath(url));
  }
  return import(url);
}

async function makeState(module) {
  return module.init?.(init);
}

function hooksOf(id, names, size) {
  const hooks = {};
  for (const name of names) {
    const send = (message) => {
      if (!running.has(id)) throw new Error(`the hook ${name} was used after its batch had ended`);
      post({ id, hook: name, ...message });
    };
    hooks[name] = {
      each: (list) => {
        const given = Array.isArray(list) ? list.length : 0;
        if (given !== size) {
          const message = `the hook ${name} must give one result for each of ${size} values, and gave ${given}`;
          const fields = { code: 'ERR_BATCH_RESULTS', expected: size, received: given };
          throw Object.assign(new Error(message), { name: 'ResultCountError' }, fields);
        }
        send({ list });
      },
      all: (payload) => send({ payload }),
    };
  }
  return hooks;
}

/** Promises in slots are awaited; one that rejects is an error in its slot. */
async function settled(results) {
  if (!Array.isArray(results)) return results;
  const list = results.slice();
  // The other slots are kept away from Promise.all, which would read their `then`.
  const wait = async (result, i) => {
    try {
      list[i] = await result;
    } catch (error) {
      list[i] = isError(error) ? error : new Error(textOf(error));
    }
  };
  await Promise.all(results.map((result, i) => (isThenable(result) ? wait(result, i) : undefined)));
  return list;
}

function isThenable(value) {
  try {
    return typeof value?.then === 'function';
  } catch {
    return false; // a getter that throws; it fails again, in its own slot, when the value is cloned
  }
}

/** Errors in slots are sent apart. */
function answerOf(id, results) {
  if (!Array.isArray(results)) return { id, results, errors: [] };
  const errors = [];
  const sent = results.map((result, i) => {
    if (!isError(result)) return result;
    errors.push([i, encode(result)]);
    return undefined;
  });
  return { id, results: sent, errors };
}

/** A result that cannot be cloned is an error in its own slot. */
function withoutUncloneable({ id, results, errors }, error) {
  if (!Array.isArray(results)) return { id, error: encode(error) };
  const sent = results.map((result, i) => {
    const failure = cloneError(result);
    if (failure === undefined) return result;
    errors.push([i, encode(failure)]);
    return undefined;
  });
  return { id, results: sent, errors };
}

function isError(value) {
  try {
    return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';
  } catch {
    return false;
  }
}

/** A chain of causes is cut off at this depth. */
const DEEPEST = 50;
const OWN = ['name', 'message', 'stack', 'cause', 'errors'];

/** Never throws. Name, message, stack, code, cause, `errors` and fields; fields that cannot be cloned are left out. */
function encode(thrown, seen = new Map(), depth = 0) {
  if (!isError(thrown)) return { value: cloneError(thrown) === undefined ? thrown : textOf(thrown) };
  const known = seen.get(thrown);
  if (known !== undefined) return known;
  const encoded = { error: true, fields: {} };
  seen.set(thrown, encoded);
  for (const name of ['name', 'message', 'stack']) {
    const value = read(thrown, name);
    if (value !== undefined) encoded[name] = textOf(value);
  }
  if (depth >= DEEPEST) return encoded;
  const next = (value) => encode(value, seen, depth + 1);
  const cause = read(thrown, 'cause');
  if (cause !== undefined) encoded.cause = next(cause);
  const errors = read(thrown, 'errors');
  try {
    if (Array.isArray(errors)) encoded.errors = Array.from(errors, next);
  } catch {
    // A list whose slots cannot be read.
  }
  for (const name of fieldsOf(thrown)) {
    const value = read(thrown, name);
    if (value !== undefined && typeof value !== 'function' && typeof value !== 'symbol')
      encoded.fields[name] = next(value);
  }
  return encoded;
}

function fieldsOf(error) {
  try {
    return [...new Set([...Object.keys(error), 'code'])].filter((name) => !OWN.includes(name) && name !== '__proto__');
  } catch {
    return [];
  }
}

function read(object, name) {
  try {
    return object[name];
  } catch {
    return undefined;
  }
}

function textOf(value) {
  try {
    return String(value);
  } catch {
    return typeof value;
  }
}

/** Why the value cannot be sent, always an error: what a getter threw may be of any kind. */
function cloneError(value) {
  try {
    structuredClone(value);
    return undefined;
  } catch (error) {
    return isError(error) ? error : new Error(`it cannot be cloned: ${textOf(error)}`);
  }
}

function decode({ name, message, fields, value, error: isOne }) {
  if (!isOne) return value;
  const error = new Error(message);
  Object.defineProperty(error, 'name', { value: name, configurable: true });
  return Object.assign(error, fields);
}
