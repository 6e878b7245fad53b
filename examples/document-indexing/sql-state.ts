const SQLSTATE = /^[0-9A-Z]{5}$/;
/** The classes of errors that are the statement's or its data's, and come again with every attempt. */
const PERMANENT = /^(0A|22|23|42|54)/;

/** The code by which Postgres names an error; `undefined` for an error that is not from Postgres. */
export function sqlStateOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown };
  // Node's codes begin with an E as well (`EPIPE`); no class of Postgres does.
  return typeof code === 'string' && SQLSTATE.test(code) && !code.startsWith('E') ? code : undefined;
}

/** Whether Postgres was there and refused what it was given: another attempt is of no use. */
export function isPermanent(error: unknown): boolean {
  return PERMANENT.test(sqlStateOf(error) ?? '');
}
