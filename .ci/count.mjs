// Prints "<passed> <failed>" for jest's JSON result.
import { readFileSync } from 'node:fs';

const text = readFileSync(process.argv[2], 'utf8');
if (text === '') {
  console.log('0 1');
} else {
  const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = JSON.parse(text);
  // A file that cannot even be loaded has no failed tests of its own.
  console.log(numPassedTests, numFailedTests + numRuntimeErrorTestSuites);
}
