import { BatchServing, servingPool } from 'batch-please';

test('types are inferred from the handler, and wrong ones do not compile', () => {
  const squares = new BatchServing({
    handleBatch: (values: readonly number[]) => values.map((value) => value * value),
  });
  const one: () => Promise<number> = () => squares.dispatch(2);
  const many: () => Promise<number[]> = () => squares.dispatchMany([2, 3]);
  // @ts-expect-error a string is no number
  const wrongValue = () => squares.dispatch('2');
  // @ts-expect-error the results are numbers
  const wrongResult: () => Promise<string> = () => squares.dispatch(2);

  const perSlot = new BatchServing({
    handleBatch: (values: readonly string[]) =>
      values.map((value) => (value === '' ? new Error('empty') : value.length)),
  });
  const length: () => Promise<number> = () => perSlot.dispatch('a');

  const mapped = new BatchServing({
    init: () => ({ model: 'm' }),
    mapInputs: (values: readonly string[]) => values.map(Number),
    handleBatch: (values, { state }) => values.map((value) => `${state.model}${String(value + 1)}`),
    mapResults: (results) => results.map((result) => [result]),
  });
  const list: () => Promise<string[]> = () => mapped.dispatch('1');

  const hooked = new BatchServing({
    hooks: ['progress', 'cost'],
    handleBatch: (values: readonly number[], { hooks }) => {
      hooks.cost.all(1);
      // @ts-expect-error there is no such hook
      const costs: unknown = hooks.costs;
      return costs === undefined ? [...values] : [];
    },
  });
  const seen: unknown[] = [];
  const read = async (): Promise<void> => {
    for await (const event of hooked.stream([1])) {
      seen.push(
        event.type === 'batch' ? (event.output satisfies number[]) : (event.type satisfies 'progress' | 'cost'),
      );
    }
  };

  class Wrong extends BatchServing<number, number> {
    // @ts-expect-error results have to be numbers
    override handleBatch(values: readonly number[]): string[] {
      return values.map(String);
    }
  }

  const pool = servingPool((key: string) => ({ handleBatch: (values: readonly number[]) => values.map(() => key) }));
  const keyed: () => Promise<string> = () => pool.get('a').dispatch(1);
  // @ts-expect-error no such option
  const wrongOption = () => new BatchServing({ batchSise: 3, handleBatch: (values: readonly number[]) => values });
  expect([one, many, wrongValue, wrongResult, length, list, read, Wrong, keyed, wrongOption]).toHaveLength(10);
});
