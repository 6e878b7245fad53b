// The program in a process of its own: what it keeps has to outlast the process.
import { documentsOfTwo, testTwoUsers } from '../support/two-users.js';

jest.setTimeout(300_000);

// The other ways, and a server that is killed, are in live-jobs.long.test.ts.
describe('two users at once, with --progress summary', () => {
  testTwoUsers('summary', documentsOfTwo());
});
