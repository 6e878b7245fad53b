import { documentsOfTwo, testTwoUsers } from '../support/two-users.js';

jest.setTimeout(300_000);

const both = documentsOfTwo();

describe.each(['items', 'isolated'] as const)('two users at once, with --progress %s', (way) => {
  testTwoUsers(way, both);
});
