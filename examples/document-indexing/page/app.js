import { BatchHistory } from './batches.js';
import { connect } from './connection.js';
import { announce, byId, setText } from './dom.js';
import { count, percent } from './format.js';
import { Hero } from './hero.js';
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
const hero = new Hero(history);
const jobs = new JobList((user) => history.colourOf(user));
const search = new Search();
/** @type {User | undefined} */
let user;
const start = new StartForm(
  () => user?.name ?? '',
  (job) => {
    if (job.user !== user?.name) return;
    jobs.add(job);
    changed();
  },
);
let disconnect = () => {};

function changed() {
  // Seen in the tab of a page that is not looked at.
  const progress = overall(jobs.jobs.filter((job) => !hasEnded(job)));
  const text = progress === undefined ? title : `${percent(progress)} – ${title}`;
  if (document.title !== text) document.title = text;
}

/** 0..1. @param {Job[]} active */
function overall(active) {
  const known = active.filter(({ chunks }) => chunks.total !== undefined);
  const total = known.reduce((sum, { chunks }) => sum + (chunks.total ?? 0), 0);
  return total === 0 ? undefined : known.reduce((sum, { chunks }) => sum + chunks.stored, 0) / total;
}

/** Shows the jobs of a user, from now on. @param {string} name */
function follow(name) {
  let connectedBefore = false;
  disconnect();
  jobs.replace([]);
  disconnect = connect(name, {
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
    history(news) {
      history.replace(news);
      hero.update();
      jobs.recolour();
    },
    batch(news) {
      const rows = history.totals?.rows ?? 0;
      history.add(news);
      hero.update();
      jobs.recolour();
      // Of the rows of other users nothing else is heard.
      if (news.totals.rows > rows) search.refresh();
    },
    simulation: (simulation) => hero.simulation(simulation),
    database: showDatabase,
    connected({ answers, reason }) {
      setText(connection, answers ? 'Live' : (reason ?? 'The server does not answer; trying again …'));
      connection.dataset.connected = String(answers);
      // It may be another server by now.
      if (answers && connectedBefore) void learn().then(describe, () => {});
      connectedBefore ||= answers;
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
  hero.describe(info);
  search.shorten(info.roots);
  const { name, dimensions } = info.embedding;
  const kind = info.database.kind === 'embedded' ? 'the embedded Postgres' : 'a Postgres server';
  const size = dimensions > 0 ? `, ${count(dimensions)} dimensions` : '';
  setText(about, `Embedding: ${name}${size}. Rows are in ${kind}. Progress by “${info.progress}”.`);
}

async function begin() {
  const info = await learn();
  describe(info);
  showDatabase(info.database);
  user = new User(info.user, () => {
    announce(`You are ${user?.name ?? ''} now`);
    follow(user?.name ?? '');
  });
  follow(user.name);
}

/** @param {unknown} error */
function beginLater(error) {
  setText(connection, error instanceof Error ? error.message : String(error));
  connection.dataset.connected = 'false';
  setTimeout(() => void begin().catch(beginLater), RETRY);
}

begin().catch(beginLater);
