'use strict';
// Runs inside a worker thread, as it is: plain CommonJS, so that it needs no loader and keeps `import()`, which can load
// a worker module of either kind.

/** The module and the state of this thread's partition; made at its first batch, and again if that failed. */
let ready;

/** A batch: answers on the port, where messages of hooks and the answer keep their order. */
module.exports = async function run({ url, init, context, values, port }) {
  let ended = false;
  const controller = new AbortController();
  port.on('message', (reason) => {
    controller.abort(decode(reason));
  });
  try {
    ready ??= prepare(url, init);
    const { handleBatch, state } = await ready.catch((error) => {
      ready = undefined;
      throw error;
    });
    const hooks = {};
    for (const name of context.hooks) {
      const send = (message) => {
        if (ended) throw new Error(`the hook ${name} was used after its batch had ended`);
        port.postMessage(message);
      };
      hooks[name] = {
        each: (list) => {
          const given = Array.isArray(list) ? list.length : 0;
          if (given !== values.length) {
            const message = `the hook ${name} must give one result for each of ${values.length} values, and gave ${given}`;
            const fields = { code: 'ERR_BATCH_RESULTS', expected: values.length, received: given };
            throw Object.assign(new Error(message), { name: 'ResultCountError' }, fields);
          }
          send({ hook: name, list });
        },
        all: (payload) => send({ hook: name, payload }),
      };
    }
    const results = await handleBatch(values, { ...context, hooks, state, signal: controller.signal });
    const errors = [];
    const sent = Array.isArray(results)
      ? Array.from(results, (result, i) => {
          if (!isError(result)) return result;
          errors.push([i, encode(result)]);
          return undefined;
        })
      : results;
    ended = true;
    port.postMessage({ results: sent, errors });
  } catch (error) {
    ended = true;
    port.postMessage({ error: encode(error) });
  } finally {
    port.close();
  }
};

async function prepare(url, init) {
  const module = await import(url);
  const handleBatch = module.handleBatch ?? module.default?.handleBatch;
  if (typeof handleBatch !== 'function') throw new TypeError(`${url} exports no function handleBatch`);
  return { handleBatch, state: await (module.init ?? module.default?.init)?.(init) };
}

function isError(value) {
  return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';
}

/** Name, message, code and fields survive; what cannot be cloned is left out. */
function encode(error) {
  if (!isError(error)) return { thrown: cloneable(error) ? error : String(error) };
  const fields = {};
  for (const [key, value] of Object.entries(error)) if (cloneable(value)) fields[key] = value;
  const cause = error.cause === undefined ? undefined : encode(error.cause);
  return { name: error.name, message: error.message, stack: error.stack, fields, cause };
}

function cloneable(value) {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}

function decode(reason) {
  if ('thrown' in reason) return reason.thrown;
  const error = new Error(reason.message);
  Object.defineProperty(error, 'name', { value: reason.name, configurable: true });
  return Object.assign(error, reason.fields);
}
