import { BatchHistory } from './batches.js';
import { BatchView } from './batch-view.js';
import { connect } from './connection.js';
import { announce, byId, setText } from './dom.js';
import { cost, percent } from './format.js';
import { hasEnded, JobList } from './jobs.js';
import { request } from './request.js';
import { Search } from './search.js';
import { StartForm } from './start.js';
import { User } from './user.js';

/** @import { Info, Job } from '../protocol.js' */

/** Milliseconds between attempts to learn from the server what it is. */
const RETRY = 3_000;

const title = document.title;
const connection = byId('connection', HTMLElement);
const banner = byId('database', HTMLElement);
const about = byId('about', HTMLElement);

const history = new BatchHistory();
const jobs = new JobList((job) => history.colourOf(job));
const batches = new BatchView(history, () => jobs.jobs);
const search = new Search();
const user = new User(() => {
  announce(`You are ${user.name} now`);
  follow();
});
const start = new StartForm(
  () => user.name,
  (job) => {
    if (job.user !== user.name) return;
    jobs.add(job);
    changed();
  },
);
let disconnect = () => {};

function changed() {
  const active = jobs.jobs.filter((job) => !hasEnded(job));
  history.assignColours(active.map(({ id }) => id));
  jobs.recolour();
  batches.update();
  // Seen in the tab of a page that is not looked at.
  const progress = overall(active);
  const text = progress === undefined ? title : `${percent(progress)} – ${title}`;
  if (document.title !== text) document.title = text;
}

/** 0..1. @param {Job[]} active */
function overall(active) {
  const known = active.filter(({ chunks }) => chunks.total !== undefined);
  const total = known.reduce((sum, { chunks }) => sum + (chunks.total ?? 0), 0);
  return total === 0 ? undefined : known.reduce((sum, { chunks }) => sum + chunks.stored, 0) / total;
}

/** Shows the jobs of the user, from now on. */
function follow() {
  let connectedBefore = false;
  disconnect();
  jobs.replace([]);
  disconnect = connect(user.name, {
    jobs(all) {
      jobs.replace(all);
      changed();
      search.refresh();
    },
    job(job) {
      const before = jobs.get(job.id);
      jobs.update(job);
      changed();
      if (job.chunks.stored > (before?.chunks.stored ?? 0) || hasEnded(job)) search.refresh();
    },
    batch(more) {
      history.add(more);
      changed();
      // Of the rows of other users nothing else is heard.
      search.refresh();
    },
    database: showDatabase,
    connected(connected) {
      setText(connection, connected ? 'Live' : 'The server does not answer; trying again …');
      connection.dataset.connected = String(connected);
      // It may be another server by now.
      if (connected && connectedBefore) void learn().then(describe, () => {});
      connectedBefore ||= connected;
    },
  });
}

/** @param {{ available: boolean, message?: string }} database */
function showDatabase({ available, message }) {
  banner.hidden = available;
  const reason = message === undefined ? '' : ` (${message})`;
  setText(banner, available ? '' : `The database is away${reason}. Jobs wait and nothing is lost.`);
}

async function learn() {
  const answer = await request('/api/info');
  /** @type {Info} */
  const info = await answer.json();
  return info;
}

/** @param {Info} info */
function describe(info) {
  start.describe(info);
  batches.describe(info);
  search.shorten(info.roots);
  const { name, dimensions, costPerMillionTokens } = info.embedding;
  const kind = info.database.kind === 'embedded' ? 'the embedded Postgres' : 'a Postgres server';
  const prices = `Costs are an estimate at ${cost(costPerMillionTokens)} for a million tokens.`;
  setText(about, `Embedding: ${name}, ${dimensions} dimensions. ${prices} Rows are in ${kind}.`);
}

async function begin() {
  const info = await learn();
  describe(info);
  showDatabase(info.database);
  user.assume(info.user);
  follow();
}

/** @param {unknown} error */
function beginLater(error) {
  setText(connection, error instanceof Error ? error.message : String(error));
  connection.dataset.connected = 'false';
  setTimeout(() => void begin().catch(beginLater), RETRY);
}

begin().catch(beginLater);
