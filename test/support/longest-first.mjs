import TestSequencer from '@jest/test-sequencer';

/** More than half a minute each, the longest first. One of them that started last would run alone, on one core. */
const LONGEST = [
  'collectors/file/lives',
  'collectors/file/more-lives',
  'examples/live-trouble',
  'examples/live-page-users',
  'collectors/file/fuzz',
  'collectors/file/processes',
  'distributed/machines',
  'examples/live-jobs',
  'collectors/file/limits',
  'collector/cost',
  'collectors/file/damage',
  'package',
].map((name) => `/test/${name}.long.test.ts`);

const rank = ({ path }) => {
  const index = LONGEST.findIndex((name) => path.replaceAll('\\', '/').endsWith(name));
  return index < 0 ? LONGEST.length : index;
};

/** On a fresh clone jest does not know how long files take, and the shortest files are some of the longest to run. */
export default class LongestFirst extends TestSequencer {
  sort(tests) {
    return super.sort(tests).sort((a, b) => rank(a) - rank(b));
  }
}
