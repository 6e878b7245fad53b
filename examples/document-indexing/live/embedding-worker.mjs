// A worker thread does not inherit the loader that lets this program run as TypeScript.
import { tsImport } from 'tsx/esm/api';

export const { init, handleBatch } = await tsImport('./embedding-worker.ts', import.meta.url);
