/** A reporter of jest that says at once which test failed, before the other tests of its file have ended. */
export default class FirstFailure {
  onTestCaseResult(_file, { status, fullName }) {
    if (status === 'failed') process.stdout.write(`failed: ${fullName}\n`);
  }

  onTestResult(_file, { testExecError }) {
    if (testExecError != null) process.stdout.write('broken\n');
  }

  getLastError() {}
}
