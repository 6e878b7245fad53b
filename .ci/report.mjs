// Reads jest's JSON result, prints the failures in full to standard error, appends one line for each failed and each skipped
// test to the summary, and prints "<passed> <failed>".
import { appendFileSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

const [, , results, summary] = process.argv;
const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites, testResults } = JSON.parse(
  readFileSync(results, 'utf8'),
);
// A file that cannot be loaded has no failed tests, but counts as one.
console.log(numPassedTests, numFailedTests + numRuntimeErrorTestSuites);

const escapes = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');
const plain = (text) => text.replace(escapes, '');
const lines = (text) =>
  plain(text)
    .split('\n')
    .filter((line) => !line.includes('node_modules'));
const firstLine = (text) =>
  lines(text)
    .find((line) => /^\s*[^\s●]/.test(line))
    ?.trim() ?? '';
const note = (line) => appendFileSync(summary, `${line}\n`);

for (const { name, message, status, assertionResults } of testResults) {
  const file = relative(process.cwd(), name);
  for (const test of assertionResults) {
    const title = `${file} > ${test.fullName}`;
    if (test.status === 'failed') {
      const [text = ''] = test.failureMessages;
      console.error(`\nFAILED ${title}\n${lines(test.failureMessages.join('\n')).slice(0, 60).join('\n')}`);
      note(`FAILED ${title}: ${firstLine(text)}`);
    } else if (test.status !== 'passed') note(`SKIPPED ${title}`);
  }
  if (status === 'failed' && !assertionResults.some((test) => test.status === 'failed')) {
    console.error(`\nFAILED ${file}\n${plain(message)}`);
    note(`FAILED ${file}: ${firstLine(message)}`);
  }
}
