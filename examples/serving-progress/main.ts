// Two users embed texts at the same time, in each of the three ways.
import * as perItem from './per-item.js';
import * as perUser from './per-user.js';
import * as summaries from './summaries.js';

const texts = { ann: ['one', 'two', 'three'], bob: ['four', 'five'] };

console.log('summaries: everybody shares batches, and finds a line of their own');
await Promise.all(
  Object.entries(texts).map(([job, list]) => {
    return summaries.index(job, list, (done) => console.log(`  ${job}: ${done} of ${list.length} done`));
  }),
);
console.log(`  batches: ${summaries.embeddings.state.counts.batches}`);

console.log('per item: everybody shares batches, and gets the payloads of their own texts');
await Promise.all(
  Object.entries(texts).map(([user, list]) => {
    return perItem.embed(list, ({ done, tokens }) => console.log(`  ${user}: ${done} done, ${tokens} tokens`));
  }),
);
console.log(`  batches: ${perItem.embeddings.state.counts.batches}`);

console.log('per user: a serving for each, so nothing is shared');
await Promise.all(
  Object.entries(texts).map(([user, list]) => {
    return perUser.embed(user, list, (payload) => console.log(`  ${user}: ${JSON.stringify(payload)}`));
  }),
);
// Or a pool would keep its servings, and the process, until they have been idle for long enough.
await perUser.embeddings.close();
