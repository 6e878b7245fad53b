// Prints "<passed> <failed> <skipped>" for jest's JSON result.
import { readFileSync } from 'node:fs';

const text = readFileSync(process.argv[2], 'utf8');
if (text === '') {
  console.log('0 1 0');
} else {
  const { numPassedTests, numFailedTests, numPendingTests, numRuntimeErrorTestSuites } = JSON.parse(text);
  // A file that cannot even be loaded has no failed tests of its own.
  console.log(numPassedTests, numFailedTests + numRuntimeErrorTestSuites, numPendingTests);
}
