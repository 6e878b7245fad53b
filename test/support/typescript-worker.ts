/** A worker module in TypeScript. */
export const handleBatch = (values: readonly number[]): number[] => values.map((value: number): number => value * 2);
